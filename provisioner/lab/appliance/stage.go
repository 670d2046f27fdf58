package main

import (
	"context"
	"os"
	"os/exec"
)

// step is one item of a stage: files and commands, under a condition. Its users
// are not made, and log in at the local API only; its other keys are not carried
// out.
type step struct {
	Name     string            `yaml:"name"`
	If       string            `yaml:"if"`
	Files    []stepFile        `yaml:"files"`
	Commands []string          `yaml:"commands"`
	Users    map[string]osUser `yaml:"users"`
}

// stepFile is a file that a step writes; it is root's.
type stepFile struct {
	Path        string `yaml:"path"`
	Content     string `yaml:"content"`
	Permissions uint32 `yaml:"permissions"`
}

// runStage runs the steps of a stage with those that frame it. A command that
// fails is said, and the next one runs.
func (c config) runStage(ctx context.Context, name string, say func(string, ...any)) {
	for _, part := range []string{name + ".before", name, name + ".after"} {
		for _, s := range c.Stages[part] {
			if s.If != "" && shell(ctx, s.If) != nil {
				continue
			}
			for _, f := range s.Files {
				say("%s: writing %s", part, f.Path)
				if err := writeFile(f.Path, []byte(f.Content), os.FileMode(f.Permissions)); err != nil {
					say("%s: %v", part, err)
				}
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
