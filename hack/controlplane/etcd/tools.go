//go:build tools

// Package tools names the command that hack/controlplane builds, so that go.mod and go.sum are complete.
package tools

import _ "go.etcd.io/etcd/server/v3"
