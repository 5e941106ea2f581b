package server

import "testing"

func TestTidying(t *testing.T) {
	const mib = 1 << 20
	before := memoryLook{allocated: 500 * mib, live: 40 * mib, objects: 70 * mib, free: 4 * mib}
	with := func(change func(*memoryLook)) memoryLook {
		m := before
		m.allocated += mib
		change(&m)
		return m
	}
	for _, tt := range []struct {
		name string
		now  memoryLook
		done uint64
		want bool
	}{
		{"a quiet server with garbage is tidied", with(func(*memoryLook) {}), 0, true},
		{"so is one with memory that is free", with(func(m *memoryLook) { m.objects, m.free = m.live, 20*mib }), 0, true},
		{"one that works is not: the collector comes by itself", with(func(m *memoryLook) { m.allocated += 5 * mib }), 0, false},
		{"nor one with little to give back", with(func(m *memoryLook) { m.objects, m.free = m.live, mib }), 0, false},
		{"nor one that has allocated little since the last time", with(func(*memoryLook) {}), 498 * mib, false},
		{"nor one that works, however much it holds", with(func(m *memoryLook) { m.allocated, m.live, m.objects = m.allocated+20*mib, 400*mib, 600*mib }), 0, false},
		{"nor one that holds much and has little against that to give back", with(func(m *memoryLook) { m.live, m.objects = 400*mib, 430*mib }), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tidy(before, tt.now, tt.done); got != tt.want {
				t.Errorf("tidy: %v", got)
			}
		})
	}
	t.Run("the runtime knows what is asked of it", func(t *testing.T) {
		if m := look(); m.allocated == 0 || m.objects == 0 {
			t.Errorf("%+v", m)
		}
	})
}
