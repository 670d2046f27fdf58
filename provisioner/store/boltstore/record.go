package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/muster-boot/muster/provisioner/store"
)

// Names in the file. They and the encodings below are its format: a change of
// any needs a new number.
var (
	bucketKV   = []byte("kv")   // key -> revision (8 bytes, big endian), value
	bucketLog  = []byte("log")  // revision (8 bytes, big endian) -> its events
	bucketMeta = []byte("meta") // format, revision

	keyFormat   = []byte("format")
	keyRevision = []byte("revision")

	format = []byte("muster store 1")
)

func layOut(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketKV, bucketLog, bucketMeta} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	return errors.Join(
		meta.Put(keyFormat, format),
		meta.Put(keyRevision, make([]byte, 8)),
	)
}

func checkLayout(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketKV, bucketLog, bucketMeta} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("it has no part named %q", name)
		}
	}
	meta := tx.Bucket(bucketMeta)
	if got := meta.Get(keyFormat); string(got) != string(format) {
		return fmt.Errorf("its format is %q and this muster reads %q", got, format)
	}
	if n := len(meta.Get(keyRevision)); n != 8 {
		return fmt.Errorf("its revision has %d bytes", n)
	}
	return nil
}

// revisionOf returns the newest revision; checkLayout has seen that it is there.
func revisionOf(tx *bolt.Tx) uint64 {
	return binary.BigEndian.Uint64(tx.Bucket(bucketMeta).Get(keyRevision))
}

func writtenAt(kv *bolt.Bucket, key string) (uint64, error) {
	v := kv.Get([]byte(key))
	if v == nil {
		return 0, nil
	}
	return itemRevision([]byte(key), v)
}

func encodeItem(value []byte, revision uint64) []byte {
	b := make([]byte, 0, 8+len(value))
	return append(binary.BigEndian.AppendUint64(b, revision), value...)
}

// decodeItem copies: bbolt's bytes are gone with its transaction.
func decodeItem(key, v []byte) (store.Item, error) {
	revision, err := itemRevision(key, v)
	if err != nil {
		return store.Item{}, err
	}
	return store.Item{Key: string(key), Value: append([]byte{}, v[8:]...), Revision: revision}, nil
}

func itemRevision(key, v []byte) (uint64, error) {
	if len(v) < 8 {
		return 0, fmt.Errorf("record of %q has %d bytes", key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// What an event did, its first byte.
const (
	didPut    = 'p'
	didDelete = 'd'
)

func encodeEvents(events []store.Event) []byte {
	var b []byte
	for _, ev := range events {
		did := byte(didPut)
		if ev.Deleted {
			did = didDelete
		}
		b = append(b, did)
		b = appendSized(b, ev.Key)
		b = appendSized(b, string(ev.Value))
	}
	return b
}

func appendSized(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func decodeEvents(b []byte) ([]store.Event, error) {
	var events []store.Event
	for len(b) > 0 {
		ev := store.Event{Deleted: b[0] == didDelete}
		key, rest, okKey := cutSized(b[1:])
		value, rest, okValue := cutSized(rest)
		if !okKey || !okValue || (b[0] != didPut && b[0] != didDelete) {
			return nil, errors.New("a record of the log does not read as events")
		}
		ev.Key = string(key)
		if !ev.Deleted {
			ev.Value = append([]byte{}, value...)
		}
		events = append(events, ev)
		b = rest
	}
	return events, nil
}

func cutSized(b []byte) (piece, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	return b[used:][:n], b[used:][n:], true
}
