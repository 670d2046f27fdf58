package scout

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-boot/muster/inventory"
)

// tolerated is a difference not worth stepping a clock for.
const tolerated = time.Second

// stepClock sets the host's clock from the server's, before anything else is
// asked: a clock that is hours off makes certificates invalid and reports lie.
func (s *Scout) stepClock(ctx context.Context) error {
	var theirs, sent, got time.Time
	if err := s.until(ctx, "Asking muster for the time", func(ctx context.Context) (err error) {
		sent = time.Now()
		theirs, err = s.Server.Time(ctx)
		got = time.Now()
		return err
	}); err != nil {
		return err
	}
	skew := skewOf(theirs, sent, got)
	s.clock = &inventory.Clock{SkewSeconds: skew.Seconds()}
	if skew.Abs() <= tolerated {
		return nil
	}
	rtc, err := s.Hands.SetClock(time.Now().Add(-skew))
	s.clock.RTCWritten = rtc
	if err != nil {
		s.Console.Say("The clock was %s and could not be set wholly: %v.", offBy(skew), err)
		return nil
	}
	s.Console.Say("The clock was %s and has been set.", offBy(skew))
	return nil
}

func offBy(skew time.Duration) string {
	if skew < 0 {
		return (-skew).Round(time.Second).String() + " behind"
	}
	return skew.Round(time.Second).String() + " ahead"
}

// skewOf is how far this host's clock is ahead: the server's answer belongs to
// the middle of the exchange.
func skewOf(theirs, sent, got time.Time) time.Duration {
	return sent.Add(got.Sub(sent) / 2).Sub(theirs)
}

// setClock sets the system's clock and writes the hardware clock that keeps it
// over a reboot, in UTC.
func setClock(t time.Time) (rtc bool, err error) {
	ts := unix.NsecToTimespec(t.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return false, fmt.Errorf("set the system clock: %w", err)
	}
	f, err := os.Open("/dev/rtc0")
	if err != nil {
		return false, fmt.Errorf("open the hardware clock: %w", err)
	}
	defer f.Close()
	if err := unix.IoctlSetRTCTime(int(f.Fd()), rtcTime(t.UTC())); err != nil {
		return false, fmt.Errorf("write the hardware clock: %w", err)
	}
	return true, nil
}

// rtcTime is t as struct rtc_time of rtc(4): years from 1900, months from 0.
func rtcTime(t time.Time) *unix.RTCTime {
	return &unix.RTCTime{
		Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()),
		Mday: int32(t.Day()), Mon: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900,
	}
}
