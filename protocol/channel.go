package protocol

import "strings"

// Channel names a channel: public and private channels of one name are two
// channels, with two logs.
type Channel struct {
	Name    string
	Private bool
}

// ParseTopic reads the channel out of a topic. The error is what a join is
// refused with.
func ParseTopic(topic string, private bool) (Channel, *Error) {
	name, ok := strings.CutPrefix(topic, TopicPrefix)
	if !ok {
		return Channel{}, &Error{Code: CodeUnmatchedTopic, Message: "a topic begins with realtime:", Reason: "unmatched topic"}
	}
	if err := CheckChannelName(name); err != nil {
		return Channel{}, err
	}
	return Channel{Name: name, Private: private}, nil
}

// CheckChannelName says whether a channel may have this name (section 2).
func CheckChannelName(name string) *Error {
	switch {
	case name == "":
		return &Error{Code: CodeTopicRequired, Message: "You must provide a topic name"}
	case len(name) > MaxTopicBytes-len(TopicPrefix):
		return &Error{Code: CodeTopicRequired, Message: "The topic name is longer than 246 bytes"}
	case strings.ContainsRune(name, 0):
		return &Error{Code: CodeTopicRequired, Message: "The topic name contains a NUL"}
	}
	return nil
}

// Topic is the channel's name on the wire.
func (c Channel) Topic() string { return TopicPrefix + c.Name }

// Log is the channel's name in the engine.
func (c Channel) Log() string {
	if c.Private {
		return "p:" + c.Name
	}
	return "o:" + c.Name
}
