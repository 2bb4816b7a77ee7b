//go:build livejit_unpinned

package livejit

// unpinned frees old versions without waiting for those who are inside: for a test that
// shows what happens then.
const unpinned = true
