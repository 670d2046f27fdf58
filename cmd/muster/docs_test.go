package main

import (
	"bytes"
	"testing"

	"github.com/muster-boot/muster/provisioner/config"
)

const samples = "../../docs/guide/samples/"

func TestTheConfigurationInTheGuideIsAccepted(t *testing.T) {
	if _, err := config.Load(samples+"muster.yaml", ""); err != nil {
		t.Error(err)
	}
}

func TestTheOrderAndProfileInTheGuideAreAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"profile", "lint", samples + "our-model.yaml"},
		{"order", "lint", samples + "plant7.yaml", samples + "plant7.csv", "--profile", samples + "our-model.yaml", "-o", "json"},
		{"order", "lint", samples + "plant7-local.yaml", samples + "plant7.csv", "--profile", samples + "our-model.yaml", "-o", "json"},
		{"order", "lint", samples + "plant7-palette.yaml", samples + "plant7.csv", "--profile", samples + "our-model.yaml", "-o", "json"},
		{"order", "lint", samples + "rack4.yaml", samples + "rack4.csv", "-o", "json"},
	} {
		var out, errs bytes.Buffer
		if code := (&session{out: &out, err: &errs}).run(t.Context(), args); code != exitDone {
			t.Errorf("muster %v: exit code %d\n%s%s", args, code, out.String(), errs.String())
		}
	}
}
