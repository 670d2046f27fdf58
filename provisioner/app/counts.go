package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/engine"
)

// countPause is how often counted bytes are handed to the engine.
const countPause = time.Second

// counts gathers how many bytes of each transfer have gone, so that whoever
// sends them never waits for the store: the engine is told by Run.
type counts struct {
	engine *engine.Engine
	log    zerolog.Logger

	mu   sync.Mutex
	news map[transfer]amount
}

type transfer struct {
	attempt provisioner.AttemptID
	stage   string
}

type amount struct{ done, total int64 }

func newCounts(e *engine.Engine, log zerolog.Logger) *counts {
	return &counts{engine: e, log: log, news: map[transfer]amount{}}
}

// note takes how far a transfer is. It does not block.
func (c *counts) note(attempt provisioner.AttemptID, stage string, done, total int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := transfer{attempt, stage}
	if done >= c.news[t].done {
		c.news[t] = amount{done, total}
	}
}

func (c *counts) take() map[transfer]amount {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := c.news
	c.news = map[transfer]amount{}
	return news
}

// Run tells the engine what was counted until ctx ends.
func (c *counts) Run(ctx context.Context) error {
	beat := time.NewTicker(countPause)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			c.tell(ctx)
		}
	}
}

// tell hands what was counted to the engine. That of an attempt that is over
// counts no more.
func (c *counts) tell(ctx context.Context) {
	for t, a := range c.take() {
		err := c.engine.Counted(ctx, t.attempt, t.stage, a.done, a.total)
		kind := provisioner.KindOf(err)
		if err == nil || kind == provisioner.Gone || kind == provisioner.NotFound || errors.Is(err, context.Canceled) {
			continue
		}
		c.log.Warn().Err(err).Str("attempt", string(t.attempt)).Str("stage", t.stage).Msg("counted bytes are not noted")
	}
}
