package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-boot/muster/provisioner"
	v1 "github.com/muster-boot/muster/provisioner/api/v1"
)

func TestProgressIsTheNewestStageWithAllBefore(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 11, 22, 12, 0, second, 0, time.UTC) }
	eight := int64(8)
	host := func(steps []provisioner.Step, counted ...provisioner.Progress) provisioner.Host {
		return provisioner.Host{
			Status: provisioner.Status{Attempt: provisioner.Attempt{ID: "a-2"}},
			Facts:  provisioner.Facts{Steps: steps, Progress: counted},
		}
	}
	kernel := provisioner.Step{Attempt: "a-2", Stage: "kernel", At: at(0)}
	rootfs := provisioner.Step{Attempt: "a-2", Stage: "rootfs", At: at(1)}
	writing := provisioner.Step{Attempt: "a-2", Stage: "writing", Detail: "to nvme-1", At: at(20)}
	half := provisioner.Progress{Attempt: "a-2", Stage: "rootfs", Bytes: 40, Total: 120, Began: at(1), At: at(5)}
	medium := provisioner.Progress{Attempt: "a-2", Stage: "medium", Bytes: 40, Total: 0, Began: at(1), At: at(30)}
	for name, c := range map[string]struct {
		host provisioner.Host
		want *v1.Progress
	}{
		"nothing yet":          {host(nil), nil},
		"of an attempt before": {host([]provisioner.Step{{Attempt: "a-1", Stage: "kernel", At: at(0)}}, provisioner.Progress{Attempt: "a-1", Stage: "rootfs", At: at(1)}), nil},
		"a step": {host([]provisioner.Step{kernel}), &v1.Progress{Stage: "kernel", At: at(0),
			Stages: []v1.Stage{{Stage: "kernel", Began: at(0), At: at(0)}}}},
		"a transfer": {host([]provisioner.Step{kernel, rootfs}, half), &v1.Progress{Stage: "rootfs", Bytes: 40, Total: 120, Rate: 10, ETA: &eight, At: at(5),
			Stages: []v1.Stage{{Stage: "kernel", Began: at(0), At: at(0)}, {Stage: "rootfs", Bytes: 40, Total: 120, Rate: 10, Began: at(1), At: at(5)}}}},
		"a transfer that goes on below a later step": {host([]provisioner.Step{writing}, medium), &v1.Progress{Stage: "writing", Detail: "to nvme-1", At: at(20),
			Stages: []v1.Stage{{Stage: "medium", Bytes: 40, Rate: 1, Began: at(1), At: at(30)}, {Stage: "writing", Began: at(20), At: at(20)}}}},
	} {
		if diff := cmp.Diff(c.want, progress(c.host)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNobodyKnowsTheEndOfWhatHasNone(t *testing.T) {
	for name, s := range map[string]v1.Stage{
		"no total": {Bytes: 5, Rate: 1}, "no rate": {Bytes: 5, Total: 10}, "more than there is": {Bytes: 11, Total: 10, Rate: 1},
	} {
		if got := eta(s); got != nil {
			t.Errorf("%s: it ends in %d s", name, *got)
		}
	}
	if got := eta(v1.Stage{Bytes: 10, Total: 10, Rate: 1}); got == nil || *got != 0 {
		t.Errorf("what is done ends in %v s", got)
	}
}
