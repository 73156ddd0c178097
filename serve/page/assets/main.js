// Starts the page.

startTheme();
Promise.all([startLeads(), startCharts()]).then(() => {
  document.documentElement.dataset.ready = "yes";
});
