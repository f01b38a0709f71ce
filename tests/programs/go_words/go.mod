module go_words

go 1.24
