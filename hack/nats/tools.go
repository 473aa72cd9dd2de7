//go:build tools

// Package nats names what is built from this module: the NATS server, for tests.
package nats

import _ "github.com/nats-io/nats-server/v2"
