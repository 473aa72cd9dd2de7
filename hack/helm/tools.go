//go:build tools

// Package helm names what is built from this module: Helm, for the tests of the chart.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
