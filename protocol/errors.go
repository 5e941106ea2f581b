package protocol

import "time"

// Error is a refusal as the wire carries it: a stable code, a sentence, and
// whether the same request may succeed later. docs/errors.md lists every code.
type Error struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Path         string `json:"path,omitempty"` // where in the record, as a JSON pointer
	Retryable    bool   `json:"retryable,omitempty"`
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"`
	Expect       uint64 `json:"expect,omitempty"` // out_of_order: the n that is due

	// Reason is what Supabase clients print; empty means "<Code>: <Message>".
	Reason string `json:"-"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// WireReason is the reason of an error reply, in the form that upstream has:
// a code in camel case, a colon, a sentence.
func (e *Error) WireReason() string {
	if e.Reason != "" {
		return e.Reason
	}
	return camel(e.Code) + ": " + e.Message
}

func camel(code string) string {
	out := make([]byte, 0, len(code))
	up := true
	for i := range len(code) {
		c := code[i]
		if c == '_' {
			up = true
			continue
		}
		if up && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		out = append(out, c)
	}
	return string(out)
}

// Codes of errors. Where a code stands for several situations the sentence
// tells them apart.
const (
	CodeUnauthorized        = "unauthorized"        // no rule allows this
	CodeTokenMissing        = "api_key_missing"     // no token at all
	CodeTokenExpired        = "token_expired"       //
	CodeTokenRefused        = "invalid_jwt_token"   // any other fault of a token
	CodeTopicRequired       = "topic_name_required" //
	CodeUnmatchedTopic      = "unmatched_topic"     // not joined, or not a realtime: topic
	CodeTooManyChannels     = "channel_rate_limit_reached"
	CodeTooManyJoins        = "client_join_rate_limit_reached"
	CodeTooManyConnections  = "connection_rate_limit_reached" // refused before the upgrade
	CodeRateLimited         = "rate_limit_reached"            // messages or bytes per second
	CodeUnknownCollection   = "unknown_collection"            //
	CodeInvalidPayload      = "invalid_payload"               // cannot be understood
	CodePayloadTooLarge     = "payload_size_exceeded"
	CodePersistPublic       = "persist_needs_private" //
	CodeRecordTooLarge      = "record_too_large"      //
	CodeSchemaViolation     = "schema_violation"      //
	CodeForbidden           = "forbidden"             // the rule's write condition
	CodeVersionConflict     = "version_conflict"      //
	CodeRecordDeleted       = "record_deleted"        //
	CodeRecordUnknown       = "record_unknown"        //
	CodeRecordExists        = "record_exists"         //
	CodeInvalidMutation     = "invalid_mutation"      //
	CodeForbiddenClient     = "forbidden_client"      // the client id is somebody else's
	CodeClientUnknown       = "client_unknown"        // take a new client id
	CodeOutOfOrder          = "out_of_order"          // Expect names the n that is due
	CodeUnavailable         = "storage_unavailable"   //
	CodeOverloaded          = "overloaded"            //
	CodeReplay              = "unable_to_replay_messages"
	CodeShuttingDown        = "realtime_restarting" //
	CodeInternal            = "internal_error"      //
	CodeUnsupportedPostgres = "postgres_changes_unsupported"
)

// Codes that only the REST API answers with (section 10). The first three are
// why a position cannot be gone on from, in the words of rule S2.
const (
	CodeTruncated          = "truncated"
	CodeEpoch              = "epoch"
	CodeFuture             = "future"
	CodeNotFound           = "not_found"
	CodeMethodNotAllowed   = "method_not_allowed"
	CodeUnsupportedMedia   = "unsupported_media_type"
	CodeTooManyRevocations = "too_many_revocations"
)

// Close codes of WebSockets (section 9).
const (
	CloseNormal       = 1000
	CloseTooLarge     = 1009
	CloseInternal     = 1011
	CloseRestart      = 1012
	CloseTokenRefused = 4101
	CloseSlowConsumer = 4200
	CloseIdle         = 4201
	CloseTooMany      = 4290
)

// Limits of sections 2 to 7.
const (
	MaxFrameBytes    = 5_000_000
	MaxMessageBytes  = 3000<<10 + 500 // of a broadcast, as upstream has it: what is below a frame's limit in comes out below it too
	MaxRecordBytes   = 256 << 10
	MaxPresenceBytes = 16 << 10
	MaxTopicBytes    = 255
	MaxEventBytes    = 255
	MaxReplay        = 1000
	DefaultReplay    = 25
	DefaultPersist   = 72 * time.Hour
	MaxPersist       = 30 * 24 * time.Hour
	OutcomesKept     = 64
	RecordsPerPage   = 500
	MaxCollections   = 16
	MaxFieldNames    = 64
	MaxSetElements   = 1000
	MaxIDBytes       = 128
)
