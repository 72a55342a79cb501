package main

import "testing"

func TestFormatNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0:          "0",
		0.0031234:  "0.0031",
		0.5:        "0.5",
		1:          "1.00",
		9.876:      "9.88",
		16.71:      "16.7",
		140.2:      "140",
		999.4:      "999",
		1000:       "1,000",
		12345:      "12,350",
		18423001.7: "18,420,000",
		-1234567:   "-1,235,000",
	} {
		if got := formatNumber(x); got != want {
			t.Errorf("formatNumber(%v) = %q, want %q", x, got, want)
		}
	}
}
