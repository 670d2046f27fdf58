package bmctest

import (
	"net/http"
	"slices"
)

const (
	taskService  = root + "/TaskService"
	tasksPath    = taskService + "/Tasks"
	monitorsPath = taskService + "/TaskMonitors"
)

// task is work that goes on after its answer.
type task struct {
	id, name string
	state    string // TaskState (Task v1.5)
	fault    *refuse
}

func (e *Emulator) taskTree() map[string]resource {
	return map[string]resource{
		taskService: {get: func() object {
			o := e.node(taskService, "TaskService.v1_2_0.TaskService", "Task Service")
			o["ServiceEnabled"], o["Tasks"] = true, e.ref(tasksPath)
			return o
		}},
		tasksPath: {get: func() object {
			var members []string
			for _, t := range e.tasks {
				members = append(members, tasksPath+"/"+t.id)
			}
			return e.collection(tasksPath, "Task", members)
		}},
	}
}

// startTask begins a task and gives the answer that announces it, and what ends
// it. Both are called with the lock held.
func (e *Emulator) startTask(name string) (answer, func()) {
	t := &task{id: numbered("%d", e.number()), name: name, state: "Running"}
	e.tasks = append(e.tasks, t)
	a := answer{status: http.StatusAccepted, body: e.showTask(t), header: http.Header{"Location": {e.link(monitorsPath + "/" + t.id)}}}
	return a, func() { e.endTask(t, nil) }
}

func (e *Emulator) endTask(t *task, fault *refuse) {
	if _, stuck := e.fault(FaultStuckTask); stuck {
		return
	}
	t.state, t.fault = "Completed", fault
	if fault != nil {
		t.state = "Exception"
	}
}

func (e *Emulator) showTask(t *task) object {
	o := e.node(tasksPath+"/"+t.id, "Task.v1_5_1.Task", t.name)
	o["TaskState"], o["TaskStatus"] = t.state, "OK"
	o["TaskMonitor"] = e.link(monitorsPath + "/" + t.id)
	o["Messages"] = []object{}
	if t.fault != nil {
		o["TaskStatus"] = "Critical"
		o["Messages"] = []object{{"MessageId": t.fault.Message, "Message": t.fault.Text, "Severity": "Critical"}}
	}
	return o
}

func (t *task) code() int {
	if t.state == "Running" {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func (e *Emulator) taskResource(id string) (resource, bool) {
	i := slices.IndexFunc(e.tasks, func(t *task) bool { return t.id == id })
	if i < 0 {
		return resource{}, false
	}
	return resource{
		get: func() object { return e.showTask(e.tasks[i]) },
		remove: func(*request) answer {
			e.tasks = slices.Delete(e.tasks, i, i+1)
			return answer{status: http.StatusNoContent}
		},
	}, true
}

// monitorResource answers 202 as long as the task goes on (DSP0266 §11.7).
func (e *Emulator) monitorResource(id string) (resource, bool) {
	i := slices.IndexFunc(e.tasks, func(t *task) bool { return t.id == id })
	if i < 0 {
		return resource{}, false
	}
	t := e.tasks[i]
	return resource{get: func() object { return e.showTask(t) }, code: t.code}, true
}
