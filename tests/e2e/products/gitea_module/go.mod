// Pins the source of Gitea; its own go.mod and go.sum pin what it is built from.
module licenseusage.dev/tests/gitea

go 1.26.0

require code.gitea.io/gitea v1.27.3
