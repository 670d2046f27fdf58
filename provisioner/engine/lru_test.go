package engine

import "testing"

func TestWhatWasUsedLongestAgoMakesRoom(t *testing.T) {
	l := newLRU[string, int](2)
	l.put("a", 1)
	l.put("b", 2)
	l.put("a", 3)
	l.get("b")
	l.put("c", 4)
	for key, want := range map[string]int{"a": 0, "b": 2, "c": 4} {
		if got, ok := l.get(key); got != want || ok != (want != 0) {
			t.Errorf("%s is %d, %t; want %d", key, got, ok, want)
		}
	}
	l.drop("b")
	l.drop("b")
	if _, ok := l.get("b"); ok {
		t.Error("what was dropped is there")
	}
}
