// Starts the page: the list first, since a reader begins there.

async function startPage() {
  const words = await readBlock("words");
  for (const start of [startTheme, startLeads, startOneLead, startCharts]) await tryPart(() => start(words));
  document.documentElement.dataset.ready = "yes";
}

// A part that fails takes no other with it, and the page says so to a reader who sees no console.
async function tryPart(start) {
  try {
    await start();
  } catch (error) {
    console.error(error);
    document.getElementById("broken").hidden = false;
  }
}

tryPart(startPage);
