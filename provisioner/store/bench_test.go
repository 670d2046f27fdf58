package store_test

import (
	"fmt"
	"testing"

	"github.com/muster-boot/muster/inventory"
	"github.com/muster-boot/muster/provisioner"
	"github.com/muster-boot/muster/provisioner/store"
)

// typicalHost is an installing host with the report of a two-socket machine.
func typicalHost(i int) provisioner.Host {
	h := host(fmt.Sprintf("h-%05d", i))
	h.Intent.Order = "rack-7"
	h.Intent.Row = provisioner.Row{Serial: fmt.Sprintf("SER%05d", i), MACs: []string{fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8&0xff, i&0xff)}}
	r := inventory.Report{Witness: inventory.Scout, Version: "1.0.0", At: day, CPUs: make([]inventory.CPU, 2), DIMMs: make([]inventory.DIMM, 16)}
	for d := range 4 {
		r.Disks = append(r.Disks, inventory.Disk{Name: fmt.Sprint("nvme", d, "n1"), Serial: fmt.Sprint("S", i, d), ByID: []string{"nvme-a", "nvme-b"}})
	}
	for n := range 4 {
		r.NICs = append(r.NICs, inventory.NIC{Name: fmt.Sprint("eth", n), MAC: fmt.Sprintf("02:00:%02x:00:%02x:%02x", n, i>>8&0xff, i&0xff), Driver: "ice"})
	}
	h.Facts.Report = &provisioner.Report{Attempt: "a-1", Received: day, Report: r}
	return h
}

const fleet = 10_000

func storeOfFleet(b *testing.B) (*store.Store, store.Engine) {
	b.Helper()
	e := openEngine(b)
	s := store.New(e, nil)
	c := store.Change{}
	for i := range fleet {
		c.Put = append(c.Put, typicalHost(i))
	}
	if err := s.CommitParts(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	return s, e
}

func touch(h *provisioner.Host) ([]provisioner.Entry, error) {
	h.Intent.Requests.Retry++
	return []provisioner.Entry{entry(string(h.ID), "asked again")}, nil
}

// BenchmarkChange is one durable change with its journal entry: the price of a
// sync, paid alone.
func BenchmarkChange(b *testing.B) {
	s := openStore(b)
	commit(b, s, store.Change{Put: []provisioner.Host{typicalHost(0)}})
	for b.Loop() {
		if _, err := s.Change(b.Context(), "h-00000", touch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChangeTogether is the same for 64 hosts at once, who share syncs.
func BenchmarkChangeTogether(b *testing.B) {
	s := openStore(b)
	hosts := make(chan provisioner.HostID, 256)
	c := store.Change{}
	for i := range cap(hosts) {
		c.Put = append(c.Put, typicalHost(i))
		hosts <- c.Put[i].ID
	}
	if err := s.CommitParts(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := <-hosts
			if _, err := s.Change(b.Context(), id, touch); err != nil {
				b.Error(err)
			}
			hosts <- id
		}
	})
}

func BenchmarkListFleet(b *testing.B) {
	_, e := storeOfFleet(b)
	for b.Loop() {
		items, _, err := e.List(b.Context(), store.Query{Prefix: "state/host/"})
		if err != nil || len(items) != fleet {
			b.Fatal(len(items), err)
		}
	}
}

// BenchmarkHostsFleet also decodes them, as a mirror does once.
func BenchmarkHostsFleet(b *testing.B) {
	s, _ := storeOfFleet(b)
	for b.Loop() {
		if _, err := s.Hosts(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMirrorByMAC is what a boot client waits for.
func BenchmarkMirrorByMAC(b *testing.B) {
	s, _ := storeOfFleet(b)
	m := runMirror(b, s)
	for b.Loop() {
		if _, ok := m.ByMAC("52:54:00:00:12:34"); !ok {
			b.Fatal("not found")
		}
	}
}
