package main

// The table of the targets: all that is asked, row by row, and what was reached.

var targetHeadings = []string{
	"scenario", "contestant", "CPUs", "GOMAXPROCS", "must", "median", "verdict", "aim", "verdict",
}

func (r Report) targetLines() [][]string {
	var lines [][]string
	for _, s := range r.Scenarios {
		for _, row := range s.Rows {
			for _, v := range row.Targets {
				median := "-"
				if v.Median != nil {
					median = formatNumber(*v.Median)
				}
				aim, aimWord := v.aimCells()
				lines = append(lines, []string{
					s.ID, row.Contestant, row.cpusCell(), row.procsCell(), v.Must, median, v.word(), aim, aimWord,
				})
			}
		}
	}
	return lines
}
