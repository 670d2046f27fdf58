package engine

import "container/list"

// lru keeps the values that were used last, at most size of them. It is not
// safe for concurrent use.
type lru[K comparable, V any] struct {
	size  int
	order *list.List // of entries, the last used first
	at    map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](size int) *lru[K, V] {
	return &lru[K, V]{size: size, order: list.New(), at: map[K]*list.Element{}}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	at, ok := l.at[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(at)
	return at.Value.(lruEntry[K, V]).value, true
}

func (l *lru[K, V]) put(key K, value V) {
	l.drop(key)
	l.at[key] = l.order.PushFront(lruEntry[K, V]{key, value})
	if l.order.Len() > l.size {
		l.drop(l.order.Back().Value.(lruEntry[K, V]).key)
	}
}

func (l *lru[K, V]) drop(key K) {
	if at, ok := l.at[key]; ok {
		l.order.Remove(at)
		delete(l.at, key)
	}
}
