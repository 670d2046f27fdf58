package lab

import (
	"strings"
	"testing"
)

func TestCloudImageIsKeptInThreeCodings(t *testing.T) {
	if _, err := CloudImage("vmdk"); err == nil || !strings.Contains(err.Error(), "raw, zstd and qcow2") {
		t.Errorf("as vmdk: %v, want an error that says what there is", err)
	}
}
