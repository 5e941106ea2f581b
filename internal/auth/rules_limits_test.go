package auth

import (
	"strings"
	"testing"
)

func TestRuleLimits(t *testing.T) {
	t.Run("[R7] a rule says what its channels allow, and zero where it says nothing", func(t *testing.T) {
		rules := must(ParseRules("r", []byte(`
channels:
  - match: "cursor:{id}"
    limits: {messagesPerSecond: 500, bytesPerSecond: 2MB, channelMessagesPerSecond: 20000, channelBytesPerSecond: 10MiB, presencePerSecond: 30, payloadBytes: 64KiB}
  - match: "slow:{id}"
    limits: {presencePerSecond: 1}
  - match: "plain"
`), nil))
		want := []Limits{
			{MessagesPerSecond: 500, BytesPerSecond: 2_000_000, ChannelMessagesPerSecond: 20_000, ChannelBytesPerSecond: 10 << 20, PresencePerSecond: 30, PayloadBytes: 64 << 10},
			{PresencePerSecond: 1},
			{},
		}
		for i, rule := range rules.All() {
			if rule.Limits != want[i] {
				t.Errorf("%s: %+v", rule.Pattern, rule.Limits)
			}
		}
	})
	for name, tt := range map[string]struct{ limits, want string }{
		"a word":             {"{messagesPerSecond: many}", "r:3: channels[0] (a) limits.messagesPerSecond: \"many\": must be a whole number above 0"},
		"none is no number":  {"{presencePerSecond: 0}", "r:3: channels[0] (a) limits.presencePerSecond"},
		"a size of nothing":  {"{payloadBytes: 0MiB}", "r:3: channels[0] (a) limits.payloadBytes"},
		"a misspelt key":     {"{messagePerSecond: 5}", "did you mean messagesPerSecond?"},
		"one number for all": {"5", "limits: must be a mapping with messagesPerSecond, bytesPerSecond"},
	} {
		t.Run("refused with its line: "+name, func(t *testing.T) {
			_, err := ParseRules("r", []byte("channels:\n  - match: a\n    limits: "+tt.limits+"\n"), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
