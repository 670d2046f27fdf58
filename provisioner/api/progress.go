package api

import (
	"slices"
	"time"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

// progress is how far the present attempt is: the stage that began last, and all
// before it. A medium is read as long as an installer runs, and is not what it is
// at.
func progress(h provisioner.Host) *v1.Progress {
	stages := stagesOf(h)
	if len(stages) == 0 {
		return nil
	}
	last := stages[len(stages)-1]
	p := &v1.Progress{
		Stage: last.Stage, Bytes: last.Bytes, Total: last.Total, Rate: last.Rate, ETA: eta(last), At: last.At, Stages: stages,
	}
	for _, s := range h.Facts.Steps {
		if s.Attempt == h.Status.Attempt.ID && s.Stage == last.Stage {
			p.Detail = s.Detail
		}
	}
	return p
}

// stagesOf joins the steps of the present attempt with what was counted of its
// transfers, in the order in which they began.
func stagesOf(h provisioner.Host) []v1.Stage {
	var stages []v1.Stage
	of := func(name string, began time.Time) *v1.Stage {
		i := slices.IndexFunc(stages, func(s v1.Stage) bool { return s.Stage == name })
		if i < 0 {
			i, stages = len(stages), append(stages, v1.Stage{Stage: name, Began: began})
		}
		return &stages[i]
	}
	for _, s := range h.Facts.Steps {
		if s.Attempt == h.Status.Attempt.ID {
			of(s.Stage, s.At).At = s.At
		}
	}
	for _, p := range h.Facts.Progress {
		if p.Attempt != h.Status.Attempt.ID {
			continue
		}
		s := of(p.Stage, p.Began)
		s.Bytes, s.Total, s.Began, s.Rate = p.Bytes, p.Total, p.Began, rate(p)
		if p.At.After(s.At) {
			s.At = p.At
		}
	}
	slices.SortStableFunc(stages, func(a, b v1.Stage) int { return a.Began.Compare(b.Began) })
	return stages
}

// rate is that of the whole stage, in bytes a second; 0 where it is too young to
// have one.
func rate(p provisioner.Progress) int64 {
	took := p.At.Sub(p.Began)
	if took <= 0 {
		return 0
	}
	return int64(float64(p.Bytes) / took.Seconds())
}

// eta is how many seconds a stage has still to go, counted from its last byte.
func eta(s v1.Stage) *int64 {
	if s.Rate == 0 || s.Total == 0 || s.Bytes > s.Total {
		return nil
	}
	seconds := (s.Total - s.Bytes + s.Rate - 1) / s.Rate
	return &seconds
}
