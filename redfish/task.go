package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// settle follows an answer of 202 to its end. What comes back is the end's
// answer; a task that ended badly is a 500 with its messages. A task that is
// stuck gives up with status 202: whether it acted is then looked at.
func (l *link) settle(ctx context.Context, r reply) (reply, error) {
	if r.status != http.StatusAccepted {
		return r, nil
	}
	monitor := taskOf(r)
	if monitor == "" {
		return r, nil
	}
	pace := l.options.Pace
	for range pace.polls(pace.Task) {
		if err := l.options.wait(ctx, pace.Poll, "the BMC works on it as a task"); err != nil {
			return r, err
		}
		end, err := l.call(ctx, http.MethodGet, monitor, nil, nil)
		if err != nil {
			return r, err
		}
		if done, ended := taskEnd(end); ended {
			if l.quirk.HTTP.DeleteTasks {
				_, _ = l.call(ctx, http.MethodDelete, monitor, nil, nil) // tidying: its failure changes nothing
			}
			return done, nil
		}
	}
	return r, nil
}

// taskOf is where a task is followed: its monitor (DSP0266 §11.6), or itself.
func taskOf(r reply) string {
	if path := local(r.header.Get("Location")); path != "" {
		return path
	}
	o, _ := parseObject(r.body)
	if path := local(o.Text("TaskMonitor")); path != "" {
		return path
	}
	return o.Link()
}

// taskEnd reads an answer about a task; ended is false while it runs.
func taskEnd(r reply) (end reply, ended bool) {
	o, _ := parseObject(r.body)
	switch state := o.Text("TaskState"); {
	case r.status == http.StatusNotFound, r.status == http.StatusGone:
		return reply{status: http.StatusOK}, true // ended and forgotten: the look after it tells
	case slices.Contains([]string{"Exception", "Killed", "Cancelled", "Interrupted"}, state),
		state == "Completed" && o.Text("TaskStatus") == "Critical":
		r.status = http.StatusInternalServerError
		if len(r.messages) == 0 {
			r.messages = []message{{text: fmt.Sprintf("the task ended as %s", state)}}
		}
		return r, true
	case state == "Completed":
		return r, true
	case r.status == http.StatusAccepted, state != "":
		return r, false
	}
	return r, true
}
