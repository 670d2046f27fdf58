package fetch

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuardJudgesEveryKindOfAddress(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("198.51.100.7")}
	const no, inside, public = "no", "inside", "public"
	tests := []struct{ addr, want string }{
		{"198.51.100.1", public}, {"2001:db8::1", public}, {"::ffff:198.51.100.1", public}, {"172.32.0.1", public}, {"100.128.0.1", public},
		{"10.1.0.6", inside}, {"172.16.0.1", inside}, {"192.168.1.1", inside}, {"100.64.0.1", inside}, {"fd00::1", inside}, {"::ffff:10.1.0.6", inside},
		{"127.0.0.1", no}, {"127.1.2.3", no}, {"::1", no}, {"::ffff:127.0.0.1", no},
		{"169.254.169.254", no}, {"169.254.1.1", no}, {"fe80::1", no}, {"fe80::1%eth0", no}, {"fd00:ec2::254", no}, {"::ffff:169.254.169.254", no},
		{"224.0.0.1", no}, {"239.1.1.1", no}, {"ff02::1", no}, {"ff0e::1", no},
		{"0.0.0.0", no}, {"0.1.2.3", no}, {"::", no}, {"255.255.255.255", no}, {"240.0.0.1", no},
		{"10.1.0.5", no}, {"198.51.100.7", no}, {"2001:db8::5", no}, {"::ffff:10.1.0.5", no},
		{"64:ff9b::7f00:1", no}, {"64:ff9b::a9fe:a9fe", no}, {"64:ff9b::a01:6", inside}, {"64:ff9b::c633:6401", public},
		{"2002:7f00:1::1", no}, {"2002:a01:6::1", inside}, {"2002:c633:6401::1", public},
	}
	for _, tt := range tests {
		for _, wasPublic := range []bool{false, true} {
			got, err := Guard{}.judge(netip.MustParseAddr(tt.addr), own, wasPublic)
			var refused *Refused
			allowed := tt.want == public || tt.want == inside && !wasPublic
			if (err == nil) != allowed || err != nil && !errors.As(err, &refused) || got != (tt.want == public) {
				t.Errorf("%s, been outside %t: public %t, %v; want %s", tt.addr, wasPublic, got, err, tt.want)
			}
		}
	}
}

func TestGuardExemptsWhatItIsTold(t *testing.T) {
	g := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	if public, err := g.judge(netip.MustParseAddr("::ffff:127.0.0.1"), nil, true); err != nil || public {
		t.Errorf("an exempt address: public %t, %v", public, err)
	}
	if _, err := g.judge(netip.MustParseAddr("127.0.0.2"), nil, false); err == nil {
		t.Error("the address beside an exempt one was let through")
	}
}
