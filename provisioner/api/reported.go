package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/muster-boot/muster/inventory"
)

// Bounds of a hardware report, which is kept with its host: the store takes
// little more than a megabyte in one transaction.
const (
	reportBody  = 512 << 10 // a disk takes some 400 bytes of it
	reportText  = 256       // bytes of each text; names below /dev/disk/by-id have 255
	reportItems = 1024      // of each list
)

// readReport reads a scout's report and leaves nothing in it that the store, a
// journal line or a terminal cannot take.
func readReport(r *http.Request) (inventory.Report, error) {
	var report inventory.Report
	if r.ContentLength > reportBody {
		return report, tooLong()
	}
	if err := decodeLoose(r, reportBody, &report); err != nil {
		return report, err
	}
	tidy(&report)
	return report, checkKept(report)
}

// tidy makes every text in a report fit for a journal line and a terminal, and
// bounds texts and lists. What it shortened, the report says among its problems.
func tidy(r *inventory.Report) {
	dropped := shorten(reflect.ValueOf(r).Elem())
	if dropped == 0 {
		return
	}
	said := fmt.Sprintf("The report was longer than muster keeps: %d items beyond the %dth of a list are left out.", dropped, reportItems)
	r.Problems = append(r.Problems[:min(len(r.Problems), reportItems-1)], said)
}

// shorten walks a value of the report and returns how many items it dropped.
func shorten(v reflect.Value) (dropped int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(clean(v.String(), reportText))
	case reflect.Pointer:
		if !v.IsNil() {
			dropped = shorten(v.Elem())
		}
	case reflect.Slice:
		if more := v.Len() - reportItems; more > 0 {
			v.Set(v.Slice(0, reportItems))
			dropped = more
		}
		for i := range v.Len() {
			dropped += shorten(v.Index(i))
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() { // those inside a time cannot
				dropped += shorten(field)
			}
		}
	default: // numbers and truth values have no length
	}
	return dropped
}

// checkKept refuses a report that is larger as it is kept than as it came:
// some characters take six bytes in our JSON.
func checkKept(r inventory.Report) error {
	kept, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the report as it is kept: %w", err)
	}
	if len(kept) > reportBody {
		return tooLong()
	}
	return nil
}

func tooLong() error {
	return invalid("the report is longer than the %d KiB that muster keeps of one host: its console says what it lists; detach what does not belong to it", reportBody>>10)
}
