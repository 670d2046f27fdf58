package ramdisk

import (
	"fmt"
	"slices"
	"strings"
)

// The three tables that a loader of modules reads, in the format of depmod(8),
// so that any tool understands the ramdisk: modules.dep lists a file and all
// it needs, what to load first being last; modules.alias maps patterns of
// device names to modules; modules.softdep keeps the soft order.

func depTable(modules []module) string {
	byName := map[string]module{}
	for _, m := range modules {
		byName[m.name] = m
	}
	var b strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&b, "%s:", m.file)
		for _, d := range slices.Backward(loadOrder(m, byName)) {
			fmt.Fprintf(&b, " %s", d.file)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// loadOrder is all that m needs, in an order that can be loaded, without m.
func loadOrder(m module, byName map[string]module) []module {
	var order []module
	seen := map[string]bool{m.name: true}
	var visit func(module)
	visit = func(m module) {
		for _, name := range m.depends {
			d, here := byName[name] // not here: built into the kernel
			if !here || seen[name] {
				continue
			}
			seen[name] = true
			visit(d)
			order = append(order, d)
		}
	}
	visit(m)
	return order
}

func aliasTable(modules []module) string {
	var b strings.Builder
	for _, m := range modules {
		for _, a := range m.aliases {
			fmt.Fprintf(&b, "alias %s %s\n", a, m.name)
		}
	}
	return b.String()
}

func softTable(modules []module) string {
	var b strings.Builder
	for _, m := range modules {
		if len(m.before)+len(m.after) == 0 {
			continue
		}
		fmt.Fprintf(&b, "softdep %s", m.name)
		if len(m.before) > 0 {
			fmt.Fprintf(&b, " pre: %s", strings.Join(m.before, " "))
		}
		if len(m.after) > 0 {
			fmt.Fprintf(&b, " post: %s", strings.Join(m.after, " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
