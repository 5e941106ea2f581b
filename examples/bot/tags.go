package main

import "strings"

// topics are words, by the tag of notes that have them.
var topics = map[string][]string{
	"pricing":  {"price", "pricing", "expensive", "cheap", "cost"},
	"bug":      {"broken", "crash", "error", "bug"},
	"praise":   {"love", "great", "delightful"},
	"question": {"?"},
}

// tagsOf are the tags that a text asks for.
func tagsOf(text string) map[string]bool {
	text = strings.ToLower(text)
	found := map[string]bool{}
	for tag, words := range topics {
		for _, word := range words {
			if strings.Contains(text, word) {
				found[tag] = true
			}
		}
	}
	return found
}
