package ramdisk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func names(modules []module) []string {
	var list []string
	for _, m := range modules {
		list = append(list, m.name)
	}
	return list
}

func kernelOf(modules ...module) library {
	l := library{modules: map[string]module{}, builtin: map[string]bool{"ptp": true}}
	for _, m := range modules {
		m.file = "kernel/" + m.name + ".ko"
		l.modules[m.name] = m
	}
	return l
}

func TestModinfoIsRead(t *testing.T) {
	info := "license=GPL\x00depends=mdio,i2c-algo-bit\x00softdep=pre: crc32c post: helper\x00alias=pci:v1*\x00alias=x\x00firmware=a/b.bin\x00"
	got := parseModinfo("kernel/drivers/net/my-nic.ko", info)
	want := module{
		name: "my_nic", file: "kernel/drivers/net/my-nic.ko",
		depends: []string{"mdio", "i2c_algo_bit"}, before: []string{"crc32c"}, after: []string{"helper"},
		aliases: []string{"pci:v1*", "x"}, firmware: []string{"a/b.bin"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(module{}, extent{})); diff != "" {
		t.Errorf("module differs (-want +got):\n%s", diff)
	}
}

func TestClosureTakesAllThatIsNeeded(t *testing.T) {
	l := kernelOf(
		module{name: "nic", depends: []string{"mdio", "ptp"}, before: []string{"crypto-crc32c", "gone"}, after: []string{"nic-extra"}},
		module{name: "mdio", depends: []string{"core"}},
		module{name: "core"},
		module{name: "crc32c_generic", aliases: []string{"crypto-crc32c"}},
		module{name: "nic_extra"},
		module{name: "unrelated"},
	)
	found, absent, err := l.closure([]string{"nic", "ptp", "hns3"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"core", "crc32c_generic", "mdio", "nic", "nic_extra"}, names(found)); diff != "" {
		t.Errorf("modules differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"hns3"}, absent); diff != "" {
		t.Errorf("absent differ (-want +got):\n%s", diff)
	}
}

func TestAMissingHardDependencyIsAnError(t *testing.T) {
	_, _, err := kernelOf(module{name: "nic", depends: []string{"mdio"}}).closure([]string{"nic"})
	if err == nil || !strings.Contains(err.Error(), "nic needs mdio") {
		t.Errorf("error is %v", err)
	}
}

func TestCircularSoftDependenciesEnd(t *testing.T) {
	found, _, err := kernelOf(module{name: "a", before: []string{"b"}}, module{name: "b", before: []string{"a"}}).closure([]string{"a"})
	if err != nil || len(found) != 2 {
		t.Errorf("found %v, %v", names(found), err)
	}
}

func TestTablesAreThoseOfDepmod(t *testing.T) {
	found, _, err := kernelOf(
		module{name: "nic", depends: []string{"mdio", "ptp"}, aliases: []string{"pci:v1*"}, before: []string{"crc32c"}, after: []string{"x"}},
		module{name: "mdio", depends: []string{"core"}},
		module{name: "core"},
	).closure([]string{"nic"})
	if err != nil {
		t.Fatal(err)
	}
	const dep = "kernel/core.ko:\nkernel/mdio.ko: kernel/core.ko\nkernel/nic.ko: kernel/mdio.ko kernel/core.ko\n"
	if diff := cmp.Diff(dep, depTable(found)); diff != "" {
		t.Errorf("modules.dep differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("alias pci:v1* nic\n", aliasTable(found)); diff != "" {
		t.Errorf("modules.alias differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("softdep nic pre: crc32c post: x\n", softTable(found)); diff != "" {
		t.Errorf("modules.softdep differs (-want +got):\n%s", diff)
	}
}
