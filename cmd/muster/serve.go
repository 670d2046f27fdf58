package main

import (
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muster-boot/muster/provisioner/app"
	"github.com/muster-boot/muster/provisioner/config"
)

func (s *session) serveCommand() *cobra.Command {
	var file, data string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: exactly(0),
		Long:    "Run the server until it is interrupted. It prints what it serves, where, and\nto whom it will not answer. muster never sets an address on an interface.",
		Example: "  muster serve --config muster.yaml --data ./data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, data)
			if err != nil {
				return usageError{err}
			}
			err = app.Run(cmd.Context(), cfg, app.Options{Version: version, Log: s.logger(cfg.LogLevel), Out: s.out})
			return stopped(cmd.Context(), err)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file")
	cmd.Flags().StringVar(&data, "data", "", "data directory (default: what the configuration says)")
	return cmd
}

// logger writes JSON lines, and for a person at a terminal something to read.
func (s *session) logger(level zerolog.Level) zerolog.Logger {
	out := s.err
	if f, isFile := s.err.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		out = zerolog.ConsoleWriter{Out: f, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
