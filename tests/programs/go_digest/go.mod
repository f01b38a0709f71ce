module go_digest

go 1.24
