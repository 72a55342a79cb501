package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// formatNumber shows three to four significant digits, which is more than such
// figures deserve, with separators where they help: 18,420,000, 16.7, 0.0031.
func formatNumber(x float64) string {
	switch magnitude := math.Abs(x); {
	case magnitude == 0:
		return "0"
	case magnitude >= 1000:
		return groupThousands(roundTo(x, 4))
	case magnitude >= 100:
		return fmt.Sprintf("%.0f", x)
	case magnitude >= 10:
		return fmt.Sprintf("%.1f", x)
	case magnitude >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

func roundTo(x float64, digits int) float64 {
	scale := math.Pow10(int(math.Floor(math.Log10(math.Abs(x)))) + 1 - digits)
	return math.Round(x/scale) * scale
}

func groupThousands(x float64) string {
	digits := strconv.FormatFloat(math.Abs(x), 'f', 0, 64)
	var out strings.Builder
	if x < 0 {
		out.WriteByte('-')
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(digit)
	}
	return out.String()
}

// summaryCells gives the three cells of a summary.
func summaryCells(s *Summary) (median, lowest, highest string) {
	if s == nil {
		return "-", "-", "-"
	}
	return formatNumber(s.Median), formatNumber(s.Min), formatNumber(s.Max)
}
