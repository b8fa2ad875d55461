package tally

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestAddAndGet(t *testing.T) {
	book := NewBook()
	sheet, err := book.Add("  Kestrel Bay ", []Line{{"tiles", 340}, {"machine parts", 96.5}})
	if err != nil {
		t.Fatal(err)
	}
	if sheet.Ship != "Kestrel Bay" {
		t.Errorf("ship is %q", sheet.Ship)
	}
	if sheet.Tonnes() != 436.5 {
		t.Errorf("weighs %v", sheet.Tonnes())
	}
	found, err := book.Get(sheet.ID)
	if err != nil || found.ID != sheet.ID {
		t.Errorf("Get: %v, %v", found, err)
	}
}

func TestAddRefuses(t *testing.T) {
	cases := map[string]struct {
		ship  string
		lines []Line
	}{
		"no ship":       {" ", []Line{{"tea", 1}}},
		"no lines":      {"Penny Royal", nil},
		"unnamed goods": {"Penny Royal", []Line{{"tea", 1}, {"", 2}}},
		"no weight":     {"Penny Royal", []Line{{"tea", 0}}},
		"not a number":  {"Penny Royal", []Line{{"tea", math.NaN()}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			book := NewBook()
			if sheet, err := book.Add(c.ship, c.lines); err == nil {
				t.Errorf("took %v", sheet)
			}
			if totals := book.Totals(); len(totals) != 0 {
				t.Errorf("filed %v", totals)
			}
		})
	}
}

func TestGetUnknown(t *testing.T) {
	if _, err := NewBook().Get(uuid.New()); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestTotals(t *testing.T) {
	book := NewBook()
	for _, lines := range [][]Line{
		{{"tea", 2}, {"coffee", 5}},
		{{"Tea ", 4}, {"anchors", 5}},
	} {
		if _, err := book.Add("Nordlys", lines); err != nil {
			t.Fatal(err)
		}
	}
	got := fmt.Sprint(book.Totals())
	if want := "[{tea 6} {anchors 5} {coffee 5}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBookIsSafeForSeveralTallymen(t *testing.T) {
	book := NewBook()
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 50 {
				if _, err := book.Add("Long Reach", []Line{{"cable", 1}}); err != nil {
					t.Error(err)
				}
				book.Totals()
			}
		}()
	}
	group.Wait()
	if totals := book.Totals(); len(totals) != 1 || totals[0].Tonnes != 400 {
		t.Errorf("got %v", totals)
	}
}
