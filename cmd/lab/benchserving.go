package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Goals of serving, in nginx's figures.
const (
	rateGoal = 0.95
	costGoal = 1.10
)

// loads are those of the goals.
func loads() []load {
	return []load{
		{name: "whole, 1 client", clients: 1},
		{name: "whole, 64 clients", clients: 64},
		{name: "64 KiB ranges, 500 clients", clients: 500, length: 64 << 10},
	}
}

// turn is one server with one image, asked once in each round.
type turn struct {
	name   string
	server server
	path   string
	size   int64
}

// benchServing holds muster's boot server against nginx: the plain image, and a
// host's own of it against the plain one of nginx.
func benchServing(ctx context.Context, out io.Writer, image string) error {
	image, err := filepath.Abs(image) // nginx takes others for its own
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muster-bench-nginx-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	nginx, err := startNginx(ctx, image, dir)
	if err != nil {
		return err
	}
	defer nginx.stop()
	muster, err := startMuster(ctx, image)
	if err != nil {
		return err
	}
	defer muster.stop()
	turns := []turn{
		{name: "nginx", server: nginx, path: "/" + filepath.Base(image)},
		{name: "muster", server: muster, path: plainPath},
		{name: "muster, host's own", server: muster, path: hostPath},
	}
	for i := range turns {
		if turns[i].size, err = turns[i].server.sizeOf(ctx, turns[i].path); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "serving, against nginx: median (least-most) of %d rounds\n  %-28s %-20s %8s %8s %-18s %9s %9s %-18s\n", benchRounds,
		"CASE", "", "GB/s", "nginx", "ratio", "CPU s/GiB", "nginx", "ratio")
	var missed []error
	for _, l := range loads() {
		runs, err := l.rounds(ctx, turns)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		for i := range turns[1:] {
			missed = append(missed, printServing(out, l.name, turns[i+1].name, runs[0], runs[i+1]))
		}
	}
	return errors.Join(missed...)
}

// rounds has every server its turns, in another order each round. The first
// round warms up and is not counted.
func (l load) rounds(ctx context.Context, turns []turn) ([][]outcome, error) {
	runs := make([][]outcome, len(turns))
	for round := range benchRounds + 1 {
		window := benchWindow
		if round == 0 {
			window = benchWindow / 8
		}
		for i := range turns {
			i = (i + round) % len(turns)
			t := turns[i]
			r, err := l.on(ctx, t.server, t.path, t.size, window)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			if round > 0 {
				runs[i] = append(runs[i], r)
			}
		}
	}
	return runs, nil
}

// printServing prints a row, and is an error where it misses a goal.
func printServing(out io.Writer, load, name string, nginx, muster []outcome) error {
	var rates, costs []float64
	for i := range muster {
		rates = append(rates, muster[i].rate()/nginx[i].rate())
		costs = append(costs, muster[i].cost()/nginx[i].cost())
	}
	rate, cost := spreadOf(rates), spreadOf(costs)
	fast, cheap := rate.median >= rateGoal, cost.median <= costGoal
	fmt.Fprintf(out, "  %-28s %-20s %8.2f %8.2f %-18s %9.3f %9.3f %-18s\n", load, name,
		medianOf(muster, outcome.rate), medianOf(nginx, outcome.rate), rate.String()+" "+verdict(fast),
		medianOf(muster, outcome.cost), medianOf(nginx, outcome.cost), cost.String()+" "+verdict(cheap))
	if !fast || !cheap {
		return fmt.Errorf("%s, %s: %.2f of nginx's throughput (goal: %.2f), %.2f of its CPU time (goal: %.2f)",
			name, load, rate.median, rateGoal, cost.median, costGoal)
	}
	return nil
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "MISSED"
}

// spread is the middle and the ends of some figures.
type spread struct{ median, low, high float64 }

func spreadOf(figures []float64) spread {
	sorted := slices.Sorted(slices.Values(figures))
	return spread{sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", s.median, s.low, s.high) }

func medianOf(runs []outcome, figure func(outcome) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, figure(r))
	}
	return spreadOf(all).median
}
