package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxBytes bounds a manifest: a hundred thousand rows of 160 bytes.
const maxBytes = 16 << 20

// table is a manifest as cells, before they mean anything.
type table struct {
	header []string
	lines  []line
}

type line struct {
	number int // in the file, from 1
	cells  []string
}

// readTable reads what spreadsheets write: UTF-8 or UTF-16 with a byte order
// mark, separators of three kinds, either line end, quoted cells, blank lines,
// and Excel's "sep=" first line.
func readTable(r io.Reader) (table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return table{}, fmt.Errorf("read manifest: %w", err)
	}
	if len(data) > maxBytes {
		return table{}, Problems{{Text: fmt.Sprintf("the manifest is larger than %d MiB; split it into several orders", maxBytes>>20)}}
	}
	text := decodeText(data)
	if at := invalidUTF8(text); at > 0 {
		return table{}, Problems{{Line: at, Text: "this line is not UTF-8 text; save the sheet as \"CSV UTF-8\""}}
	}
	text, separator := declaredSeparator(text)
	if separator == 0 {
		separator = guessSeparator(text)
	}
	return parseTable(text, separator)
}

func parseTable(text string, separator rune) (table, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = separator
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = separator != '\t' // else an empty cell would swallow its separator
	var t table
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			return table{}, Problems{{Line: parse.Line, Text: fmt.Sprintf("at character %d: %v; put cells that hold quotes or separators in double quotes", parse.Column, parse.Err)}}
		}
		if err != nil {
			return table{}, fmt.Errorf("read manifest: %w", err)
		}
		number, _ := r.FieldPos(0)
		trimAll(cells)
		switch {
		case strings.Join(cells, "") == "" || strings.HasPrefix(cells[0], "#"):
		case t.header == nil:
			t.header = cells
		default:
			t.lines = append(t.lines, line{number, cells})
		}
	}
}

func trimAll(cells []string) {
	for i := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\u00a0", " ")) // sheets like no-break spaces
	}
}

// decodeText undoes the byte order mark and UTF-16, which "Unicode text" is.
func decodeText(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return decodeUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return decodeUTF16(data[2:], binary.BigEndian)
	}
	return string(bytes.TrimPrefix(data, []byte("\ufeff")))
}

func decodeUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// invalidUTF8 is the number of the first line that is not UTF-8, or 0.
func invalidUTF8(text string) int {
	if utf8.ValidString(text) {
		return 0
	}
	number := 0
	for l := range strings.Lines(text) {
		number++
		if !utf8.ValidString(l) {
			return number
		}
	}
	return number
}

// declaredSeparator takes Excel's first line "sep=;" at its word. It blanks
// the line instead of cutting it, so that line numbers stay those of the file.
func declaredSeparator(text string) (rest string, separator rune) {
	first, after, _ := strings.Cut(text, "\n")
	value, ok := strings.CutPrefix(strings.TrimRight(first, "\r"), "sep=")
	if !ok || utf8.RuneCountInString(value) != 1 || strings.ContainsAny(value, "\"\r\ufffd") {
		return text, 0
	}
	separator, _ = utf8.DecodeRuneInString(value)
	return "\n" + after, separator
}

// guessSeparator takes the one that stands most often in the first line that
// says something, outside quotes; a header of one column has none.
func guessSeparator(text string) rune {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") {
			continue
		}
		outside := outsideQuotes(l)
		best := ','
		for _, candidate := range ";\t" {
			if strings.Count(outside, string(candidate)) > strings.Count(outside, string(best)) {
				best = candidate
			}
		}
		return best
	}
	return ','
}

func outsideQuotes(l string) string {
	var kept strings.Builder
	for i, part := range strings.Split(l, `"`) {
		if i%2 == 0 {
			kept.WriteString(part)
		}
	}
	return kept.String()
}
