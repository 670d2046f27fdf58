package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-boot/muster/provisioner/api/client"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
	"github.com/muster-boot/muster/provisioner/bmc"
	"github.com/muster-boot/muster/provisioner/config"
)

// Exit codes.
const (
	exitDone        = 0
	exitNo          = 1 // the answer is no: a finding, a failed host, a refusal
	exitUsage       = 2 // wrong use
	exitUnreachable = 3 // no server answers, or no BMC
)

// session is one run of the command line.
type session struct {
	in       *os.File // a terminal, or what a command reads as "-"; nil: nothing
	out, err io.Writer
	server   string // address given with --server
	format   format
}

// usageError is wrong use, as opposed to a no.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errNo ends a command whose output has said no already.
var errNo = errors.New("no")

// run executes one command and returns its exit code.
func (s *session) run(ctx context.Context, args []string) int {
	cmd := s.root()
	cmd.SetArgs(args)
	cmd.SetOut(s.out)
	cmd.SetErr(s.err)
	err := cmd.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errNo) {
		fmt.Fprintln(s.err, "muster:", err)
	}
	return exitCode(err)
}

// exitCode maps an error to what a script can test.
func exitCode(err error) int {
	var wrong usageError
	var away *client.Unreachable
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &away), bmc.Unreachable(err):
		return exitUnreachable
	}
	return exitNo
}

// each acts on every argument. A refusal is said and the others have their turn;
// without a server there is none.
func (s *session) each(args []string, act func(arg string) error) error {
	refused := false
	for _, arg := range args {
		err := act(arg)
		if _, no := errors.AsType[*v1.Problem](err); no {
			s.say("muster: %v", err)
			refused = true
		} else if err != nil {
			return err
		}
	}
	if refused {
		return errNo
	}
	return nil
}

// root is the whole command line.
func (s *session) root() *cobra.Command {
	root := group("muster", "Take hosts from crate to registered",
		s.serveCommand(), s.hostCommands(), s.orderCommands(), s.imageCommands(),
		s.profileCommands(), s.ramdiskCommands(), s.bmcCommands(), s.reportCommand(), s.webhookCommands(), s.versionCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().StringVar(&s.server, "server", "",
		"unix socket or URL of the server (default "+config.DefaultSocket()+", or MUSTER_SERVER)")
	return root
}

// stopped makes of the end that a person asked for what it is: no error.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// group is a command that only has others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("%s has no command %q: see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
		}
		return usage("say what to do: see %s --help", cmd.CommandPath())
	}}
	g.DisableFlagsInUseLine = true
	g.AddCommand(commands...)
	g.Example = examples(commands)
	return g
}

// examples is the first example of each command.
func examples(commands []*cobra.Command) string {
	lines := make([]string, len(commands))
	for i, c := range commands {
		lines[i], _, _ = strings.Cut(c.Example, "\n")
	}
	return strings.Join(lines, "\n")
}

// exactly wants so many arguments, or says how the command is used.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("use it like this: %s", cmd.UseLine())
		}
		return nil
	}
}

// atLeast wants so many arguments or more.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("use it like this: %s", cmd.UseLine())
		}
		return nil
	}
}

// client is a client of the server that was named, or of the usual one.
func (s *session) client() (*client.Client, error) {
	c, err := client.New(cmp.Or(s.server, os.Getenv("MUSTER_SERVER"), config.DefaultSocket()))
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func (s *session) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Which muster this is, and which one the server is", Args: exactly(0),
		Example: "  muster version -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			server, err := c.Version(cmd.Context())
			var away *client.Unreachable
			if err != nil && !errors.As(err, &away) {
				return err
			}
			return s.show(versions{Muster: version, Server: server.Muster})
		},
	}
	return s.reading(cmd)
}

// versions is the answer of muster version.
type versions struct {
	Muster string `json:"muster"`
	Server string `json:"server"` // empty: none answers
}

func (v versions) table(t *table) {
	t.row("muster", v.Muster)
	t.row("server", cmp.Or(v.Server, "none answers"))
}
