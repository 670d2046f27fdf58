package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stillTime is how long the processors of a host may do nothing at all. A system
// that has nothing to do counts its time, so that even an idle one does something
// every second.
const stillTime = time.Minute

// rouse presses the reset button of a host whose processors stand still. Under
// emulation a kernel now and then waits for an interrupt that is lost, at its boot
// or when it is told to reboot: a person who saw that would do the same. The host's
// console says so. It returns when q has ended.
func (h *Host) rouse(q *process) {
	tick := time.NewTicker(h.lab.still / 6)
	defer tick.Stop()
	worked, since := "", time.Now()
	for {
		select {
		case <-q.done:
			return
		case now := <-tick.C:
			if done := worktime(q.cmd.Process.Pid); done == "" || done != worked {
				worked, since = done, now
			}
			if now.Sub(since) < h.lab.still {
				continue
			}
			since = now
			h.note("its processors stand still; its reset button is pressed")
			_ = q.qmp.execute(command{name: "system_reset"}) // it may have ended
		}
	}
}

// note adds a line of the lab's own to the host's console.
func (h *Host) note(say string) {
	f, err := os.OpenFile(h.files.console, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return // its directory has gone with it
	}
	defer f.Close()
	fmt.Fprintf(f, "\r\nlab: %s\r\n", say)
}

// worktime is the time that the virtual processors of a QEMU process have had of
// the real ones, in the kernel's ticks (proc(5): utime and stime), a word for each;
// empty where it has none.
func worktime(pid int) string {
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	if err != nil {
		return ""
	}
	var times []string
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := strings.Cut(string(stat), ")") // no name of QEMU's has one
		if fields := strings.Fields(rest); strings.HasSuffix(name, "/TCG") && len(fields) > 12 {
			times = append(times, fields[11]+"+"+fields[12])
		}
	}
	return strings.Join(times, " ")
}
