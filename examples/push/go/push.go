// Push users' activity to the operator's intake: push record USER | push send (see ../README.md).
//
// An event is in a file, and on the disk, before the product goes on. It is removed only when the
// intake has answered. One process sends at a time; any number of them may record.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	batch = 500
	lag   = time.Second // after an activity its event is on the disk by then
)

// Outbox holds the events of one producer that were not answered yet.
type Outbox struct {
	Folder string
	Source string // as in push.producers
}

type event struct {
	SpecVersion string            `json:"specversion"`
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Type        string            `json:"type"`
	Time        string            `json:"time,omitempty"`
	Data        map[string]string `json:"data"`
}

type answer struct {
	Receipt string `json:"receipt"`
	Warning string `json:"warning"`
	Error   string `json:"error"`
	Detail  string `json:"detail"`
}

// Record keeps that a user was active; it returns once that is on the disk.
func (o Outbox) Record(user string, at time.Time) error {
	made := o.event("dev.licenseusage.activity", map[string]string{"user": user})
	made.Time = stamp(at)
	line, err := json.Marshal(made)
	if err != nil {
		return err
	}
	unlock, err := o.lock("new.lock")
	if err != nil {
		return err
	}
	defer unlock()
	file, err := os.OpenFile(o.path("new.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// Send sends everything that was recorded, and a heartbeat. After an error nothing is lost.
func (o Outbox) Send(url, tokenFile string) error {
	unlock, err := o.lock("send.lock")
	if err != nil {
		return err
	}
	defer unlock()
	// Whatever was active before is in the files once they are taken: this is what a heartbeat says.
	through := time.Now().Add(-lag)
	lines, err := o.take()
	if err != nil {
		return err
	}
	heartbeat, err := json.Marshal(o.event("dev.licenseusage.heartbeat",
		map[string]string{"completeThrough": stamp(through)}))
	if err != nil {
		return err
	}
	lines = append(lines, string(heartbeat))
	for first := 0; first < len(lines); first += batch {
		last := min(first+batch, len(lines))
		if err := o.post(url, tokenFile, lines[first:last]); err != nil {
			return err
		}
	}
	return os.Remove(o.path("taken.jsonl"))
}

// take moves what was recorded behind what was left of the last time, and returns all of it.
func (o Outbox) take() ([]string, error) {
	unlock, err := o.lock("new.lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []byte
	for _, name := range []string{"taken.jsonl", "new.jsonl"} {
		text, err := os.ReadFile(o.path(name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		all = append(all, text...)
	}
	// A crash after this and before the next line sends some events twice: harmless.
	if err := write(o.path("taken.jsonl"), all); err != nil {
		return nil, err
	}
	if err := os.Remove(o.path("new.jsonl")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(all))
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}

func (o Outbox) post(url, tokenFile string, lines []string) error {
	token, err := os.ReadFile(tokenFile) // it is renewed
	if err != nil {
		return err
	}
	body := "[" + strings.Join(lines, ",") + "]"
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/cloudevents-batch+json")
	if receipt, err := os.ReadFile(o.path("receipt")); err == nil {
		request.Header.Set("LicenseUsage-Receipt", string(receipt))
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("not taken, kept: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("not taken, kept: %w", err)
	}
	var said answer
	_ = json.Unmarshal(raw, &said) // what is no answer of the intake is told by its status
	if response.StatusCode != http.StatusOK {
		if said.Error == "PushReceiptUnknown" {
			// The ledger was restored: what is sent counts, and a new chain begins.
			_ = os.Remove(o.path("receipt"))
		}
		return fmt.Errorf("not taken, kept: %d %s: %s", response.StatusCode, said.Error, said.Detail)
	}
	if said.Warning != "" {
		fmt.Fprintln(os.Stderr, said.Warning)
	}
	if said.Receipt == "" {
		return nil
	}
	return write(o.path("receipt"), []byte(said.Receipt))
}

func (o Outbox) event(kind string, data map[string]string) event {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return event{SpecVersion: "1.0", ID: fmt.Sprintf("%x", id), Source: o.Source, Type: kind, Data: data}
}

func (o Outbox) path(name string) string { return filepath.Join(o.Folder, name) }

func (o Outbox) lock(name string) (func(), error) {
	file, err := os.OpenFile(o.path(name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// write leaves either the old file or the new one, whatever happens.
func write(path string, text []byte) error {
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	outbox := Outbox{setting("INTAKE_FOLDER", "/var/lib/push"), setting("INTAKE_SOURCE", "/app")}
	err := os.MkdirAll(outbox.Folder, 0o700)
	switch {
	case err != nil:
	case len(os.Args) == 3 && os.Args[1] == "record":
		err = outbox.Record(os.Args[2], time.Now())
	case len(os.Args) == 2 && os.Args[1] == "send":
		err = outbox.Send(
			setting("INTAKE_URL", "http://licenseusage-intake.licenseusage-system/v1/activity"),
			setting("INTAKE_TOKEN_FILE", "/var/run/secrets/licenseusage/token"))
	default:
		fmt.Fprintln(os.Stderr, "usage: push record USER | push send")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
