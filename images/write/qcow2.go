package write

import (
	"bytes"
	"compress/flate"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Offsets in the header of QEMU's docs/interop/qcow2.rst, all big-endian.
const (
	qcowMark        = "QFI\xfb"
	qcowVersion     = 4
	qcowBacking     = 8
	qcowClusterBits = 20
	qcowSize        = 24
	qcowCrypt       = 32
	qcowL1Count     = 36
	qcowL1          = 40
	qcowFeatures    = 72 // version 3: what a reader must understand
	qcowLength      = 100
	qcowPacking     = 104 // 0 deflate, 1 zstd
	qcowHead        = 112

	featureDirty   = 1 << 0 // reference counts may be wrong; we need none
	featurePacking = 1 << 3 // the packing is not deflate

	offsetBits = 0x00fffffffffffe00 // of a table's or a cluster's place
	packedBit  = 1 << 62
	zeroBit    = 1 << 0

	maxL1 = 4 << 20 // entries; QEMU takes no more either
)

// qcow2 is a disk inside a qcow2 file, read from its first byte to its last. It
// is of our own making, since a file from the network says how large the tables
// are, and which other file of the host that reads it lies below.
type qcow2 struct {
	r        io.ReaderAt
	file     int64 // bytes of r
	size, at int64
	cluster  int64
	bits     int
	l1       []uint64
	l2       []uint64 // of the entry of l1 that was last needed
	l2of     int64    // its index; -1 for none
	packing  byte
	unpack   *zstd.Decoder // nil until needed
	data     []byte        // of the cluster at dataOf
	dataOf   int64         // its number; -1 for none
}

func newQcow2(r io.ReaderAt, file int64) (*qcow2, error) {
	h := make([]byte, qcowHead)
	if _, err := r.ReadAt(h, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := readable(h); err != nil {
		return nil, err
	}
	q := &qcow2{r: r, file: file, bits: int(binary.BigEndian.Uint32(h[qcowClusterBits:])), l2of: -1, dataOf: -1}
	q.cluster, q.size = 1<<q.bits, int64(binary.BigEndian.Uint64(h[qcowSize:]))
	if binary.BigEndian.Uint32(h[qcowVersion:]) == 3 && binary.BigEndian.Uint32(h[qcowLength:]) > qcowPacking {
		q.packing = h[qcowPacking]
	}
	count := int64(binary.BigEndian.Uint32(h[qcowL1Count:]))
	if q.size <= 0 || q.size > 1<<55 || count > maxL1 || count < q.tables() || q.packing > 1 {
		return nil, fmt.Errorf("the qcow2 file has a table of %d entries for a disk of %d bytes, with packing %d", count, q.size, q.packing)
	}
	var err error
	q.l1, err = q.table(int64(binary.BigEndian.Uint64(h[qcowL1:])), q.tables())
	return q, err
}

// DecodeQcow2 reads the disk inside a qcow2 file of size bytes, within the bounds
// of [Writer.Write]. The caller calls end when done.
func DecodeQcow2(r io.ReaderAt, size int64) (content io.Reader, end func(), err error) {
	q, err := newQcow2(r, size)
	if err != nil {
		return nil, nil, err
	}
	return q, q.close, nil
}

// CheckQcow2 says whether a qcow2 file of size bytes is one that [Writer.Write]
// takes and has all that its tables tell of. It reads the tables alone, each once.
func CheckQcow2(r io.ReaderAt, size int64) error {
	q, err := newQcow2(r, size)
	if err != nil {
		return err
	}
	seen := map[int64]bool{}
	for _, entry := range q.l1 {
		at := int64(entry & offsetBits)
		if at == 0 || seen[at] {
			continue
		}
		seen[at] = true
		if at%q.cluster != 0 { // so that no two tables overlap
			return fmt.Errorf("the qcow2 file is damaged: a table lies at byte %d, and not where a cluster begins", at)
		}
		table, err := q.table(at, q.perTable())
		if err != nil {
			return err
		}
		for _, entry := range table {
			if at := q.place(entry); at >= size {
				return fmt.Errorf("the qcow2 file is cut short: it has %d bytes, and content from byte %d on; fetch it again", size, at)
			}
		}
	}
	return nil
}

// place is where the content of a cluster begins in the file; 0 for none.
func (q *qcow2) place(entry uint64) int64 {
	switch {
	case entry&packedBit != 0:
		return int64(entry & (1<<q.split() - 1))
	case entry&zeroBit != 0:
		return 0
	}
	return int64(entry & offsetBits)
}

// split is how many bits of a packed cluster's entry are its place; those above
// are its length.
func (q *qcow2) split() int { return 62 - (q.bits - 8) }

// readable refuses what a reader would have to understand and this one does not.
func readable(h []byte) error {
	version, bits := binary.BigEndian.Uint32(h[qcowVersion:]), binary.BigEndian.Uint32(h[qcowClusterBits:])
	switch {
	case string(h[:len(qcowMark)]) != qcowMark:
		return errors.New("the image is no qcow2 file")
	case version != 2 && version != 3:
		return fmt.Errorf("the qcow2 file is of version %d; 2 and 3 are read", version)
	case bits < 9 || bits > 21:
		return fmt.Errorf("the qcow2 file has clusters of 2^%d bytes; 2^9 to 2^21 are read", bits)
	case binary.BigEndian.Uint64(h[qcowBacking:]) != 0:
		return errors.New("the qcow2 file is a difference to another file; make it whole with qemu-img convert")
	case binary.BigEndian.Uint32(h[qcowCrypt:]) != 0:
		return errors.New("the qcow2 file is encrypted")
	}
	if version == 2 {
		return nil
	}
	if other := binary.BigEndian.Uint64(h[qcowFeatures:]) &^ (featureDirty | featurePacking); other != 0 {
		return fmt.Errorf("the qcow2 file is damaged or of a kind that is not read (features %#x); convert it with qemu-img convert -O qcow2", other)
	}
	return nil
}

// perTable is how many clusters a table of the second level tells of.
func (q *qcow2) perTable() int64 { return q.cluster / 8 }

// tables is how many tables of the second level the disk needs.
func (q *qcow2) tables() int64 {
	clusters := (q.size + q.cluster - 1) / q.cluster
	return (clusters + q.perTable() - 1) / q.perTable()
}

func (q *qcow2) table(at, count int64) ([]uint64, error) {
	b := make([]byte, 8*count)
	if at <= 0 {
		return nil, fmt.Errorf("the qcow2 file has a table at %d", at)
	}
	if _, err := q.r.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("read a table of the qcow2 file: %w", unexpected(err))
	}
	t := make([]uint64, count)
	for i := range t {
		t[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return t, nil
}

// unexpected makes an end where there should be more an error that no reader
// takes for the end of the content.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (q *qcow2) Read(p []byte) (int, error) {
	if q.at == q.size {
		return 0, io.EOF
	}
	index, off := q.at/q.cluster, q.at%q.cluster
	n := min(int64(len(p)), q.cluster-off, q.size-q.at)
	entry, err := q.entry(index)
	if err == nil {
		err = q.fill(p[:n], entry, index, off)
	}
	if err != nil {
		return 0, err
	}
	q.at += n
	return int(n), nil
}

// entry is what the tables say of a cluster; 0 is nothing.
func (q *qcow2) entry(index int64) (uint64, error) {
	i := index / q.perTable()
	at := int64(q.l1[i] & offsetBits)
	if at == 0 {
		return 0, nil
	}
	if q.l2of != i {
		t, err := q.table(at, q.perTable())
		if err != nil {
			return 0, err
		}
		q.l2, q.l2of = t, i
	}
	return q.l2[index%q.perTable()], nil
}

// fill reads from one cluster.
func (q *qcow2) fill(p []byte, entry uint64, index, off int64) error {
	if entry&packedBit != 0 {
		if err := q.open(entry, index); err != nil {
			return err
		}
		copy(p, q.data[off:])
		return nil
	}
	at := q.place(entry)
	if at == 0 {
		clear(p)
		return nil
	}
	if at >= q.file {
		return fmt.Errorf("the qcow2 file is cut off before cluster %d: %w", index, io.ErrUnexpectedEOF)
	}
	n, err := q.r.ReadAt(p, at+off)
	if errors.Is(err, io.EOF) {
		clear(p[n:]) // the last cluster of a file need not be whole
		return nil
	}
	return err
}

// open unpacks a cluster. How long it is packed is told in sectors of 512
// bytes, the last of which may belong to the next.
func (q *qcow2) open(entry uint64, index int64) error {
	if q.dataOf == index {
		return nil
	}
	at := q.place(entry)
	sectors := int64(entry&(packedBit-1))>>q.split() + 1
	packed := make([]byte, sectors*512-at%512)
	n, err := q.r.ReadAt(packed, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	q.dataOf = -1
	if q.data == nil {
		q.data = make([]byte, q.cluster)
	}
	if err := q.inflate(packed[:n]); err != nil {
		return fmt.Errorf("unpack cluster %d of the qcow2 file: %w", index, unexpected(err))
	}
	q.dataOf = index
	return nil
}

// inflate unpacks exactly one cluster; behind it lies what belongs to others.
func (q *qcow2) inflate(packed []byte) error {
	if q.packing == 0 {
		_, err := io.ReadFull(flate.NewReader(bytes.NewReader(packed)), q.data)
		return err
	}
	if q.unpack == nil {
		z, err := newZstd(nil)
		if err != nil {
			return err
		}
		q.unpack = z
	}
	if err := q.unpack.Reset(bytes.NewReader(packed)); err != nil {
		return err
	}
	_, err := io.ReadFull(q.unpack, q.data)
	return err
}

func (q *qcow2) close() {
	if q.unpack != nil {
		q.unpack.Close()
	}
}

// kept is how many blocks of a remote stay in memory: clusters are read about
// in the order of the file, and tables lie between them.
const kept = 4

// checked is a remote that is read at random, block by block. All of it was
// read once before, for its digest; each block must be what it was then.
type checked struct {
	remote *remote
	sums   [][sha256.Size]byte
	recent list.List // of *held, newest first
}

type held struct {
	index int64
	data  []byte
}

// openQcow2 fetches the file twice: once for its digest, before anything is
// written, and then in the order in which its tables want it.
func openQcow2(r *remote, announced []byte, t *target) (*source, error) {
	c := &checked{remote: r}
	if err := c.check(announced, t.progress); err != nil {
		return nil, err
	}
	q, err := newQcow2(c, r.size)
	if err != nil {
		return nil, err
	}
	return &source{
		content: q, atLeast: q.size,
		done: func() int64 { return t.done }, total: q.size,
		finish: func() error { return nil }, // each byte was compared when it came
		close:  q.close,
	}, nil
}

// check reads all of the remote and remembers the digest of each block.
func (c *checked) check(announced []byte, progress func(string, int64, int64)) error {
	s := &stream{remote: c.remote}
	defer s.close()
	whole, b := sha256.New(), make([]byte, blockSize)
	for {
		n, err := fill(s, b)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 {
			whole.Write(b[:n])
			c.sums = append(c.sums, sha256.Sum256(b[:n]))
			progress(Checking, s.at.Load(), c.remote.size)
		}
		if err != nil {
			return matches(whole, announced)
		}
	}
}

func (c *checked) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= c.remote.size {
			return n, io.EOF
		}
		b, err := c.block(at / blockSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[at%blockSize:])
	}
	return n, nil
}

func (c *checked) block(index int64) ([]byte, error) {
	for e := c.recent.Front(); e != nil; e = e.Next() {
		if h := e.Value.(*held); h.index == index {
			c.recent.MoveToFront(e)
			return h.data, nil
		}
	}
	if c.recent.Len() == kept {
		c.recent.Remove(c.recent.Back())
	}
	h := &held{index: index, data: make([]byte, min(blockSize, c.remote.size-index*blockSize))}
	if err := c.remote.persist(func() (int64, error) { return 0, c.fetch(h) }); err != nil {
		return nil, err
	}
	if sha256.Sum256(h.data) != c.sums[index] {
		return nil, errors.New("the image changed while it was fetched")
	}
	c.recent.PushFront(h)
	return h.data, nil
}

func (c *checked) fetch(h *held) error {
	ctx, idle, cancel := guarded(c.remote.ctx)
	defer cancel(nil)
	defer idle.Stop()
	off := h.index * blockSize
	body, err := c.remote.get(ctx, off, off+int64(len(h.data)))
	if err != nil {
		return err
	}
	_, err = io.ReadFull(body, h.data)
	return errors.Join(err, body.Close())
}
