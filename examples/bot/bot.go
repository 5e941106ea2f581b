package main

import (
	"context"
	"errors"
	"log"
	"maps"
	"slices"
	"sync"

	"github.com/chorale-rt/chorale/client"
)

// Note is what the bot reads of a note; the app's schema has more.
type Note struct {
	Content string   `json:"content"`
	Tags    []string `json:"tags"`
}

// A bot tags the notes of one interview.
type bot struct {
	room  *client.Channel
	notes *client.Collection
	// read is what was read of each note. A note is looked at once per wording, so
	// that a person who takes a tag away is not argued with.
	read map[string]string
}

// run joins an interview and works until ctx ends. It returns when everything it
// started has ended; the error is that it was not let in.
func run(ctx context.Context, c *client.Client, interview string) error {
	room, err := c.Channel("interview:"+interview, &client.ChannelOptions{Presence: true, Collections: []string{"notes"}})
	if err != nil {
		return err
	}
	defer room.Release()
	questions := room.Subscribe("ask")
	if err := room.Ready(ctx); err != nil {
		return err
	}
	// The app shows whoever says a name; sub makes several windows one person.
	if err := room.Presence().Track(map[string]string{"name": "Tagger", "sub": "guest-tagger"}); err != nil {
		return err
	}
	b := &bot{room: room, notes: room.Collection("notes"), read: map[string]string{}}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { b.answer(ctx, questions) })
	work.Go(func() { b.tag(ctx) })
	return nil
}

// tag looks at the notes whenever they have changed.
func (b *bot) tag(ctx context.Context) {
	for snapshot := range b.notes.Watch(ctx) {
		for _, record := range snapshot.Records {
			if err := b.look(record); err != nil {
				log.Printf("note %s: %v", record.ID, err)
			}
		}
	}
}

// look adds the tags that a note lacks. They are elements of a set: what others
// add or take away meanwhile stays so.
func (b *bot) look(record *client.Record) error {
	var note Note
	if err := record.Decode(&note); err != nil {
		return err
	}
	if b.read[record.ID] == note.Content {
		return nil
	}
	b.read[record.ID] = note.Content
	missing := tagsOf(note.Content)
	for _, tag := range note.Tags {
		delete(missing, tag)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := b.notes.Patch(record.ID, map[string]any{"tags": client.Elements{Add: slices.Sorted(maps.Keys(missing))}})
	return err
}

// answer tells who asks how many notes have each tag.
func (b *bot) answer(ctx context.Context, questions *client.Stream[client.Message]) {
	for question, err := range questions.All(ctx) {
		if _, missed := errors.AsType[*client.Resync](err); missed {
			continue // who asked will ask again
		}
		counts := map[string]int{}
		for _, record := range b.notes.Snapshot().Records {
			var note Note
			if err := record.Decode(&note); err != nil {
				continue
			}
			for _, tag := range note.Tags {
				counts[tag]++
			}
		}
		answer := map[string]any{"to": question.ID, "counts": counts}
		if _, err := b.room.Publish(ctx, "answer", answer); err != nil && ctx.Err() == nil {
			log.Print(err)
		}
	}
}
