package demo

// Product is an entry of the catalog. Cents is the price in hundredths of a euro.
type Product struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Category string   `json:"category"`
	Cents    int      `json:"cents"`
	Tags     []string `json:"tags,omitempty"`
	// InStock is filled in from the inventory; nil when that did not answer.
	InStock *int `json:"inStock,omitempty"`
	// Stars is what reviewers give on average, where the reviews know of stars.
	Stars *float64 `json:"stars,omitempty"`
}

// products is read-only after the program started.
var products = [...]Product{
	{ID: "lamp-01", Name: "Reading lamp, brass", Category: "light", Cents: 8900, Tags: []string{"desk", "led"}},
	{ID: "lamp-02", Name: "Paper lantern, 40 cm", Category: "light", Cents: 1900, Tags: []string{"ceiling"}},
	{ID: "lamp-03", Name: "Clamp light, black", Category: "light", Cents: 3450, Tags: []string{"desk", "workshop"}},
	{ID: "chair-01", Name: "Bentwood chair", Category: "seating", Cents: 12900, Tags: []string{"beech"}},
	{ID: "chair-02", Name: "Folding chair, oak", Category: "seating", Cents: 5900, Tags: []string{"oak", "garden"}},
	{ID: "stool-01", Name: "Three-legged stool", Category: "seating", Cents: 4900, Tags: []string{"ash"}},
	{ID: "sofa-01", Name: "Two-seat sofa, wool", Category: "seating", Cents: 89900, Tags: []string{"wool"}},
	{ID: "desk-01", Name: "Trestle desk, 160 cm", Category: "table", Cents: 24900, Tags: []string{"desk", "birch"}},
	{ID: "desk-02", Name: "Standing desk, electric", Category: "table", Cents: 54900, Tags: []string{"desk"}},
	{ID: "table-01", Name: "Round table, 110 cm", Category: "table", Cents: 39900, Tags: []string{"oak"}},
	{ID: "table-02", Name: "Side table, steel", Category: "table", Cents: 7900, Tags: []string{"steel"}},
	{ID: "shelf-01", Name: "Wall shelf, 80 cm", Category: "storage", Cents: 2900, Tags: []string{"birch"}},
	{ID: "shelf-02", Name: "Bookcase, five boards", Category: "storage", Cents: 17900, Tags: []string{"oak"}},
	{ID: "box-01", Name: "Felt box, grey", Category: "storage", Cents: 1490, Tags: []string{"felt"}},
	{ID: "box-02", Name: "Tool chest, seven drawers", Category: "storage", Cents: 15900, Tags: []string{"workshop", "steel"}},
	{ID: "rug-01", Name: "Flat-weave rug, 2 × 3 m", Category: "textile", Cents: 29900, Tags: []string{"wool"}},
	{ID: "rug-02", Name: "Door mat, coir", Category: "textile", Cents: 1990, Tags: []string{"coir"}},
	{ID: "throw-01", Name: "Mohair throw", Category: "textile", Cents: 11900, Tags: []string{"wool"}},
	{ID: "clock-01", Name: "Station clock", Category: "wall", Cents: 13900, Tags: []string{"steel"}},
	{ID: "mirror-01", Name: "Mirror, 60 cm", Category: "wall", Cents: 9900, Tags: []string{"glass"}},
	{ID: "hook-01", Name: "Coat hooks, set of three", Category: "wall", Cents: 2490, Tags: []string{"brass"}},
	{ID: "vase-01", Name: "Stoneware vase", Category: "table", Cents: 3900, Tags: []string{"clay"}},
	{ID: "pan-01", Name: "Iron pan, 28 cm", Category: "kitchen", Cents: 4900, Tags: []string{"iron"}},
	{ID: "knife-01", Name: "Bread knife", Category: "kitchen", Cents: 5400, Tags: []string{"steel"}},
	{ID: "board-01", Name: "End-grain board", Category: "kitchen", Cents: 6900, Tags: []string{"walnut"}},
	{ID: "mug-01", Name: "Enamel mug, blue", Category: "kitchen", Cents: 990, Tags: []string{"enamel"}},
}

func productByID(id string) (Product, bool) {
	for _, p := range products {
		if p.ID == id {
			return p, true
		}
	}
	return Product{}, false
}

// Review is what a customer wrote; Stars are known to version 2 only.
type Review struct {
	Author string `json:"author"`
	Text   string `json:"text"`
	Stars  int    `json:"stars,omitempty"`
}

var opinions = [...]Review{
	{"Ada", "Does what it should and looks good doing it.", 5},
	{"Bruno", "Arrived with a scratch; the replacement came in two days.", 4},
	{"Chen", "Smaller than I thought. Measure first.", 3},
	{"Dagny", "My third one. The first two are still fine, I keep moving house.", 5},
	{"Emeka", "The screws are too short for a real wall.", 2},
	{"Fatima", "A present for my brother, who now wants another.", 5},
	{"Goran", "The colour is warmer than on the picture.", 4},
	{"Hanna", "Wobbled until I read the manual.", 3},
}
