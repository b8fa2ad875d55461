// Package tally keeps the count of what was unloaded: sheets of lines, each a kind of goods and its weight.
package tally

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// ErrNotFound says that no sheet has the given id.
var ErrNotFound = errors.New("no such sheet")

// Line is one entry of a sheet.
type Line struct {
	Goods  string  `json:"goods"`
	Tonnes float64 `json:"tonnes"`
}

// Sheet is what one ship delivered.
type Sheet struct {
	ID    uuid.UUID `json:"id"`
	Ship  string    `json:"ship"`
	Lines []Line    `json:"lines"`
}

// Tonnes is the weight of the whole sheet.
func (s Sheet) Tonnes() float64 {
	var sum float64
	for _, line := range s.Lines {
		sum += line.Tonnes
	}
	return sum
}

// Total is the weight of one kind of goods over all sheets.
type Total struct {
	Goods  string  `json:"goods"`
	Tonnes float64 `json:"tonnes"`
}

// Book holds the sheets. Its zero value is not usable; see NewBook.
type Book struct {
	mu     sync.RWMutex
	sheets map[uuid.UUID]Sheet
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{sheets: make(map[uuid.UUID]Sheet)}
}

// Add checks a sheet's lines, files them under a new id and returns the sheet.
func (b *Book) Add(ship string, lines []Line) (Sheet, error) {
	ship = strings.TrimSpace(ship)
	if ship == "" {
		return Sheet{}, errors.New("a sheet needs the name of its ship")
	}
	if len(lines) == 0 {
		return Sheet{}, errors.New("a sheet needs at least one line")
	}
	for i, line := range lines {
		if strings.TrimSpace(line.Goods) == "" {
			return Sheet{}, fmt.Errorf("line %d does not say what the goods are", i+1)
		}
		if !(line.Tonnes > 0) {
			return Sheet{}, fmt.Errorf("line %d weighs nothing", i+1)
		}
	}
	sheet := Sheet{ID: uuid.New(), Ship: ship, Lines: slices.Clone(lines)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sheets[sheet.ID] = sheet
	return sheet, nil
}

// Get finds one sheet.
func (b *Book) Get(id uuid.UUID) (Sheet, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	sheet, ok := b.sheets[id]
	if !ok {
		return Sheet{}, ErrNotFound
	}
	return sheet, nil
}

// Totals sums the weight of each kind of goods, the heaviest first.
func (b *Book) Totals() []Total {
	b.mu.RLock()
	defer b.mu.RUnlock()
	sums := make(map[string]float64)
	for _, sheet := range b.sheets {
		for _, line := range sheet.Lines {
			sums[strings.ToLower(strings.TrimSpace(line.Goods))] += line.Tonnes
		}
	}
	totals := make([]Total, 0, len(sums))
	for goods, tonnes := range sums {
		totals = append(totals, Total{Goods: goods, Tonnes: tonnes})
	}
	slices.SortFunc(totals, func(a, b Total) int {
		if a.Tonnes != b.Tonnes {
			if a.Tonnes > b.Tonnes {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Goods, b.Goods)
	})
	return totals
}
