package file

import (
	"io/fs"
	"os"
	"time"
)

// stamp tells by the file system's own words whether a file is another one.
type stamp struct {
	info fs.FileInfo
}

func stampOf(path string) (stamp, error) {
	if path == Stdin {
		return stamp{}, nil
	}
	info, err := os.Stat(path)
	return stamp{info}, err
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}

// racy reports whether the file was written so shortly before it was read that
// another write may have left the same time on it.
func (s *fileState) racy() bool {
	return s.stamp.info != nil && s.read.Sub(s.stamp.info.ModTime()) < 2*time.Second
}
