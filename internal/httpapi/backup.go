package httpapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/protocol"
)

// Backuper is an engine that copies what it stores while it serves.
type Backuper interface {
	Backup(ctx context.Context, to io.Writer) (backup.Summary, error)
}

// backupStall is how long whoever takes a backup may read nothing. What the
// engine deletes meanwhile takes space until the backup is over.
const backupStall = time.Minute

// takeBackup is GET /admin/backup: a stream in the form of package backup. One
// that breaks off has no end, so that nobody takes it for whole.
func (a *API) takeBackup(r *request) (answer, *problem) {
	engine, ok := a.opts.Engine.(Backuper)
	if !ok {
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeNotFound, Message: "The logs are not on this server: back up what they are on"})
	}
	if !a.backingUp.CompareAndSwap(false, true) {
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeOverloaded, Message: "A backup is being taken; one at a time", Retryable: true, RetryAfterMs: 10_000})
	}
	return answer{status: http.StatusOK, stream: func(w http.ResponseWriter) {
		defer a.backingUp.Store(false)
		begun := a.opts.Now()
		sum, err := engine.Backup(r.Context(), &stallWriter{w, http.NewResponseController(w), a.opts.Now})
		if err != nil {
			a.opts.Logger.Warn("backup broken off", "by", r.identity, "error", err)
			panic(http.ErrAbortHandler) // closes the connection: there is no status any more to say it with
		}
		a.opts.Logger.Info("backup taken", "by", r.identity, "pairs", sum.Pairs, "bytes", sum.Bytes, "took", a.opts.Now().Sub(begun))
	}}, nil
}

// stallWriter fails when nothing of a block is taken for backupStall.
type stallWriter struct {
	to      io.Writer
	control *http.ResponseController
	now     func() time.Time
}

func (w *stallWriter) Write(b []byte) (int, error) {
	if err := w.control.SetWriteDeadline(w.now().Add(backupStall)); err != nil {
		return 0, err
	}
	return w.to.Write(b)
}
