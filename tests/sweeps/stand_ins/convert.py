def make(config, places):
    places.data_set.mkdir(exist_ok=True)
