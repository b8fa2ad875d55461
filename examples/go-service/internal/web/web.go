// Package web serves a tally book over HTTP.
package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"example.org/tallyman/internal/tally"
)

const maxBody = 1 << 20

type server struct {
	book *tally.Book
}

// New returns the handler of the whole service.
func New(book *tally.Book) http.Handler {
	s := server{book: book}
	router := chi.NewRouter()
	router.Use(middleware.RequestID, middleware.Recoverer)
	router.Get("/", s.index)
	router.Get("/healthz", s.health)
	router.Route("/sheets", func(r chi.Router) {
		r.Post("/", s.addSheet)
		r.Get("/{id}", s.getSheet)
	})
	router.Get("/totals", s.totals)
	return router
}

func (s server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("Tallyman counts what comes ashore.\n"))
}

func (s server) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s server) addSheet(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Ship  string       `json:"ship"`
		Lines []tally.Line `json:"lines"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	sheet, err := s.book.Add(wanted.Ship, wanted.Lines)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	w.Header().Set("Location", "/sheets/"+sheet.ID.String())
	reply(w, http.StatusCreated, sheet)
}

func (s server) getSheet(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	sheet, err := s.book.Get(id)
	if errors.Is(err, tally.ErrNotFound) {
		refuse(w, http.StatusNotFound, err)
		return
	}
	reply(w, http.StatusOK, sheet)
}

func (s server) totals(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.book.Totals())
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}
