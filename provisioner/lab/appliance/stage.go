package main

import (
	"context"
	"os"
	"os/exec"
)

// step is one item of a stage: commands, under a condition. Its users are not
// made, and log in at the local API only; its other keys (files, ...) are not
// carried out.
type step struct {
	Name     string            `yaml:"name"`
	If       string            `yaml:"if"`
	Commands []string          `yaml:"commands"`
	Users    map[string]osUser `yaml:"users"`
}

// runStage runs the steps of a stage with those that frame it. A command that
// fails is said, and the next one runs.
func (c config) runStage(ctx context.Context, name string, say func(string, ...any)) {
	for _, part := range []string{name + ".before", name, name + ".after"} {
		for _, s := range c.Stages[part] {
			if s.If != "" && shell(ctx, s.If) != nil {
				continue
			}
			for _, command := range s.Commands {
				say("%s: %s", part, command)
				if err := shell(ctx, command); err != nil {
					say("%s: that ended with %v", part, err)
				}
			}
		}
	}
}

func shell(ctx context.Context, command string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
