//go:build tools

// Package tools names the commands that hack/controlplane builds, so that go.mod and go.sum are complete.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
