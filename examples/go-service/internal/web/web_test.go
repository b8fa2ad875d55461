package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/tallyman/internal/tally"
)

func do(t *testing.T, handler http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	return recorder
}

func TestIndexAndHealth(t *testing.T) {
	handler := New(tally.NewBook())
	if got := do(t, handler, "GET", "/", ""); got.Code != 200 || !strings.HasPrefix(got.Body.String(), "Tallyman") {
		t.Errorf("index: %d %q", got.Code, got.Body)
	}
	if got := do(t, handler, "GET", "/healthz", ""); got.Code != 200 || !strings.Contains(got.Body.String(), `"ok"`) {
		t.Errorf("health: %d %q", got.Code, got.Body)
	}
}

func TestSheetRoundTrip(t *testing.T) {
	handler := New(tally.NewBook())
	made := do(t, handler, "POST", "/sheets", `{"ship":"Isla Verde","lines":[{"goods":"bananas","tonnes":640.5}]}`)
	if made.Code != http.StatusCreated {
		t.Fatalf("%d %s", made.Code, made.Body)
	}
	found := do(t, handler, "GET", made.Header().Get("Location"), "")
	if found.Code != 200 || found.Body.String() != made.Body.String() {
		t.Errorf("%d %s", found.Code, found.Body)
	}
	totals := do(t, handler, "GET", "/totals", "")
	if want := `[{"goods":"bananas","tonnes":640.5}]`; strings.TrimSpace(totals.Body.String()) != want {
		t.Errorf("totals: %s", totals.Body)
	}
}

func TestRefusals(t *testing.T) {
	cases := []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/sheets", `{`, 400},
		{"POST", "/sheets", `{"vessel":"x"}`, 400},
		{"POST", "/sheets", `{"ship":"x","lines":[]}`, 422},
		{"GET", "/sheets/not-an-id", "", 400},
		{"GET", "/sheets/00000000-0000-4000-8000-000000000000", "", 404},
		{"DELETE", "/sheets", "", 405},
		{"GET", "/elsewhere", "", 404},
	}
	handler := New(tally.NewBook())
	for _, c := range cases {
		t.Run(c.method+" "+c.path+" "+c.body, func(t *testing.T) {
			if got := do(t, handler, c.method, c.path, c.body); got.Code != c.status {
				t.Errorf("got %d, want %d: %s", got.Code, c.status, got.Body)
			}
		})
	}
}
