package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/lifecycle"
)

// errStopped is the end of an errand that was not to go on: it did neither.
var errStopped = errors.New("stopped")

// book writes an errand's outcome to the errand that was begun, whatever became
// of its host meanwhile; where that is another try by now, or another BMC,
// nothing of it is written.
func (e *Engine) book(ctx context.Context, job *errand, seen provisioner.BMC, survey *inventory.Report, failed error) error {
	if failed != nil && !errors.Is(failed, errStopped) {
		e.Log.Warn().Err(failed).Str("host", string(job.host.ID)).Str("attempt", string(job.Attempt)).
			Str("errand", string(job.Do)).Msg("errand not done")
	}
	_, err := e.observe(ctx, job.host.ID, "BMC", func(h *provisioner.Host) (string, error) {
		if !sameBMC(job.host, *h) {
			return "", nil
		}
		if !seen.At.IsZero() {
			seen.Of = job.host.Intent.BMC.Place()
			h.Facts.BMC = &seen
		}
		if survey != nil {
			h.Facts.Survey = &provisioner.Report{Attempt: job.Attempt, Received: e.at(*h), Report: *survey}
		}
		done, say := e.outcome(*h, job, failed)
		if !job.host.BMCRenewed() && h.BMCRenewed() {
			say = strings.TrimSpace("The BMC has the new password of its account now. " + say)
		}
		list, there := lifecycle.Booked(h.Facts.Errands, done)
		if !there {
			return "", nil
		}
		h.Facts.Errands = list
		return say, nil
	})
	return err
}

// NoteBMC notes whether a call to h's BMC, as h was then, was refused its account.
// That is kept also where the call was stopped and where the server ends: whoever
// forgets it may lock the account.
func (e *Engine) NoteBMC(ctx context.Context, h provisioner.Host, failed error) error {
	refused := errors.Is(failed, provisioner.ErrRefused)
	if h.Intent.BMC == nil || !refused && (failed != nil || h.Facts.BMCRefusal == nil) {
		return nil
	}
	_, err := e.observe(context.WithoutCancel(ctx), h.ID, "engine", func(now *provisioner.Host) (string, error) {
		now.Facts.BMCRefusal = nil
		if refused {
			now.Facts.BMCRefusal = &provisioner.Refusal{At: e.at(*now), Account: h.Intent.BMC.Digest(), Handled: h.Status.Handled}
		}
		return "", nil
	})
	return err
}

// outcome is the errand as it ended, and what the journal is told: the same
// problem once.
func (e *Engine) outcome(h provisioner.Host, job *errand, failed error) (provisioner.Errand, string) {
	done, now := job.Errand, e.at(h)
	shown, overtaken := lifecycle.Overtaken(h)
	overtaken = overtaken && lifecycle.Same(shown, job.Errand)
	switch {
	case failed == nil:
		done.Done = now
		return done, fmt.Sprintf("The BMC at %s was to %s, and did.", h.BMCAddress(), lifecycle.ErrandWords(job.Do))
	case overtaken:
		done.Done = now
		return done, "The host itself showed that it was started; its BMC is asked no more."
	case errors.Is(failed, errStopped):
		return done, ""
	}
	done.Failed, done.Problem = now, words(failed.Error())+"."
	done.Final = provisioner.KindOf(failed) == provisioner.Operator
	if done.Problem == job.last {
		return done, ""
	}
	return done, fmt.Sprintf("The BMC at %s was to %s, and: %s", h.BMCAddress(), lifecycle.ErrandWords(job.Do), done.Problem)
}

// words are an error or a driver's words on one line that is not too long for a
// journal, without a full stop.
func words(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > maxProblem {
		text = strings.ToValidUTF8(text[:maxProblem], "") + " ..."
	}
	return strings.TrimRight(text, ".")
}
